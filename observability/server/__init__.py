"""The server of a service and its worker processes."""
