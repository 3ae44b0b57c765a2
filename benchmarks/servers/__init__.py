"""Which WSGI server costs least and behaves best: `make bench-servers` (docs/adr/0002-wsgi-server.md)."""
