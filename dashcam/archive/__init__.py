"""A time's telemetry as one file of open formats: written from any source, read into a store of its own."""
