"""Writing a time's telemetry, or a selection of it, to one file of open formats, from any sources."""
