"""The telemetry schema in the form that OpenTelemetry's Weaver and others' tools read, made from the code."""
