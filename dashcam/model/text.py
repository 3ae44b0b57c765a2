"""Text that came in as telemetry, made fit to be shown."""

from __future__ import annotations


def plain(text: str) -> str:
    """Text that came in as telemetry, without what a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)
