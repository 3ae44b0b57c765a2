"""Dashcam's tools: the embedded backend, the console, the diagnosis, the local stack and the command line."""
