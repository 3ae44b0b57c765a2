"""The interface of a log search that both adapters keep."""

from __future__ import annotations

from typing import Protocol

from dashcam.model.logs import LogBucket, LogLine, LogPage, LogQuery


class LogSearch(Protocol):
    """What the console and the command line need of a store of log lines. Raises SourceError."""

    name: str
    address: str
    repeats: bool
    """Whether :meth:`since` can give a line again that the page before had."""

    def search(self, query: LogQuery) -> LogPage:
        """The newest lines that match."""

    def histogram(self, query: LogQuery, buckets: int) -> list[LogBucket]:
        """How many lines match over the query's time, which must have a start and an end."""

    def since(self, query: LogQuery, place: str) -> LogPage:
        """The lines that came since the page with this `place`, whatever their time; the newest of them.

        Raises ValueError for what is no place.
        """

    def follow(self, query: LogQuery) -> Follower:
        """A follower, which begins with the newest `query.limit` lines since the query's start."""


class Follower(Protocol):
    """Gives each line of a growing store once: none lost, none doubled."""

    def poll(self) -> list[LogLine]:
        """The lines that came since the last call, oldest first. After a SourceError, call it again."""
