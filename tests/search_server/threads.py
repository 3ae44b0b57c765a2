"""Which threads of a Java program are at work, from what it prints when it is asked (SIGQUIT)."""

from __future__ import annotations

ENDS_WITH = "JNI global refs"
"""Begins what comes after the last thread."""

_IDLE = ".ThreadPoolExecutor.getTask("
_FRAMES = 20


def at_work(dump: str) -> str:
    """Elasticsearch's threads in `dump` that do not wait for work, each with its innermost frames."""
    found = [each for each in dump.split("\n\n") if each.startswith('"elasticsearch[') and _IDLE not in each]
    return "\n\n".join("\n".join(each.splitlines()[:_FRAMES]) for each in found)
