"""Every log record of the process as one line on stdout."""
