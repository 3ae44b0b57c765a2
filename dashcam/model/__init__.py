"""What the tools speak of: traces, their trees, series and log lines as plain data, without any I/O."""
