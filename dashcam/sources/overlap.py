"""Following a store that cannot say what is new: by time, with an overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from dashcam.model.logs import LogLine, LogQuery
from dashcam.sources.logs import LogSearch

OVERLAP = 60_000_000
"""Microseconds that are read again: how late a line may come and still be seen."""


class OverlapFollower:
    """Gives each line of a store without sequence numbers once.

    Lines of several services arrive with different delays, so a line can turn up with an earlier time than
    one already shown. Each :meth:`poll` therefore reads the last `overlap` microseconds again and leaves out
    what it has given already, counting equal lines, so that nothing is lost and nothing is doubled.
    """

    PAGE = 1000

    def __init__(self, logs: LogSearch, query: LogQuery, overlap: int = OVERLAP) -> None:
        self._logs = logs
        self._query = replace(query, limit=self.PAGE, end=None)
        self._limit = query.limit
        self._from: int | None = None
        self._start = query.start or 0
        self._overlap = overlap
        self._given: dict[bytes, tuple[int, int]] = {}

    def poll(self) -> list[LogLine]:
        """The newest lines, `query.limit` at most; from the second call on, all that came since the last."""
        if self._from is None:
            return self._begin()
        lines = list(self._window(self._from))
        fresh = sorted(self._unseen(lines), key=lambda line: line.time)
        self._forget(self._from, lines)
        return fresh

    def _begin(self) -> list[LogLine]:
        newest = self._logs.search(replace(self._query, start=self._start, limit=1)).lines
        begin = max(self._start, newest[0].time - self._overlap) if newest else self._start
        begin = begin // 1000 * 1000
        lines = list(self._window(begin))
        fresh = sorted(self._unseen(lines), key=lambda line: line.time)[-self._limit :]
        self._forget(begin, lines)
        if len(fresh) == self._limit or begin <= self._start:
            return fresh
        # Older than what is read again with every poll, so that no line can be in both.
        older = replace(self._query, start=self._start, end=begin - 1, limit=self._limit - len(fresh))
        return [*reversed(self._logs.search(older).lines), *fresh]

    def _forget(self, begin: int, lines: list[LogLine]) -> None:
        """Move the overlap on, and leave what is older than it."""
        latest = max((line.time for line in lines), default=begin)
        self._from = max(begin, (latest - self._overlap) // 1000 * 1000)
        self._given = {key: seen for key, seen in self._given.items() if seen[1] >= self._from}

    def _window(self, start: int) -> Iterator[LogLine]:
        """Every line from where the overlap begins, page by page from the newest back."""
        end: int | None = None
        while True:
            page = self._logs.search(replace(self._query, start=start, end=end))
            oldest = min((line.time // 1000 for line in page.lines), default=0)
            if len(page.lines) < self.PAGE or (end is not None and oldest >= end // 1000):
                yield from page.lines
                return
            # Elasticsearch keeps milliseconds. The page may have cut the oldest one in two: it is left to
            # the next page, whole.
            yield from (line for line in page.lines if line.time // 1000 > oldest)
            end = oldest * 1000

    def _unseen(self, lines: Iterable[LogLine]) -> Iterator[LogLine]:
        seen: Counter[bytes] = Counter()
        for line in lines:
            seen[line.identity] += 1
            if seen[line.identity] > self._given.get(line.identity, (0, 0))[0]:
                self._given[line.identity] = (seen[line.identity], line.time)
                yield line
