"""Following a store that cannot say what is new: by time, with an overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from observability.sources.logs import LogLine, LogQuery, LogSearch


class OverlapFollower:
    """Gives each line of a store without sequence numbers once.

    Lines of several services arrive with different delays, so a line can turn up with an earlier time than
    one already shown. Each :meth:`poll` therefore reads the last `overlap` microseconds again and leaves out
    what it has given already, counting equal lines, so that nothing is lost and nothing is doubled.
    """

    PAGE = 1000

    def __init__(self, logs: LogSearch, query: LogQuery, overlap: int = 60_000_000) -> None:
        self._logs = logs
        self._query = replace(query, limit=self.PAGE, end=None)
        self._start = self._from = query.start or 0
        self._overlap = overlap
        self._given: dict[bytes, tuple[int, int]] = {}

    def poll(self) -> list[LogLine]:
        """The lines that came since the last call, oldest first."""
        lines = list(self._window())
        fresh = list(self._unseen(lines))
        newest = max((line.time for line in lines), default=self._from)
        self._from = max(self._start, self._from, newest - self._overlap)
        self._given = {key: seen for key, seen in self._given.items() if seen[1] >= self._from}
        return sorted(fresh, key=lambda line: line.time)

    def _window(self) -> Iterator[LogLine]:
        """Every line from where the overlap begins, page by page from the newest back."""
        end: int | None = None
        while True:
            page = self._logs.search(replace(self._query, start=self._from, end=end))
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
