"""Metric families, their exposition, and one `/metrics` for several worker processes."""
