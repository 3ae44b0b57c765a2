"""What can go wrong when a source is asked.

    SourceError
    ├── SourceAway         no answer: refused, unresolved, cut off or too late
    ├── SourceRefused      an answer with a 4xx or 5xx status; `status` has it
    └── SourceUnreadable   an answer that is not this API's: not JSON, or of another shape

Each carries which source was asked, its address, what happened and what to do about it.
"""

from __future__ import annotations


class SourceError(Exception):
    """A source did not give what was asked of it."""

    def __init__(self, source: str, address: str, reason: str, remedy: str) -> None:
        super().__init__(f"{source} at {address}: {reason}. {remedy}")
        self.source = source
        self.address = address
        self.reason = reason
        self.remedy = remedy


class SourceAway(SourceError):
    """The source did not answer: nothing listens there, or not within the time limit."""


class SourceRefused(SourceError):
    """The source answered with an error status, for example a bad PromQL expression."""

    def __init__(self, source: str, address: str, status: int, reason: str, remedy: str) -> None:
        super().__init__(source, address, reason, remedy)
        self.status = status


class SourceUnreadable(SourceError):
    """What answered there is something else: the body is not the JSON that this API promises."""
