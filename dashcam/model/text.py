"""Text that came in as telemetry, made fit to be shown."""

from __future__ import annotations

from collections.abc import Iterable


def plain(text: str) -> str:
    """Text that came in as telemetry, without what a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


def listed(lines: Iterable[str]) -> str:
    """Lines for a terminal, each of which stays one: a break within it, which telemetry brings, is escaped.

    Else what a service names itself, or what its error says, could forge a line of ours. A break at the start
    of a line is ours: a blank line before it.
    """
    return "\n".join(_single(line) for line in lines)


def _single(line: str) -> str:
    own = line.lstrip("\n")
    return "\n" * (len(line) - len(own)) + plain(own).replace("\n", "\\n")
