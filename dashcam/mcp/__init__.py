"""The Model Context Protocol server: the sources and the diagnosis as tools of an assistant, read-only."""
