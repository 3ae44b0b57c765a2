"""What telemetry costs a request, side by side with what others pay: `make bench` (docs/overhead.md)."""
