"""`car` and `minus` before they were two services: one application, one process."""
