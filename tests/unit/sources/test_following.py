"""Following a log gives each line once, in both kinds of store, whatever arrives when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashcam.sources import LogQuery
from dashcam.sources.elasticsearch import ElasticsearchLogs
from dashcam.sources.embedded_logs import EmbeddedLogs
from dashcam.sources.logs import Follower

BEGIN = 1_790_000_000_000_000


@dataclass
class Store:
    """Lines by the time they carry, in the order they arrived; answers as both stores do."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    while_paging: list[tuple[int, str]] = field(default_factory=list)

    def document(self, line: tuple[int, str]) -> dict[str, Any]:
        seconds, micros = divmod(line[0], 1_000_000)
        return {
            "timestamp": f"2026-09-21T14:{13 + (seconds - 1_790_000_000 + 20) // 60:02d}:"
            f"{(seconds - 1_790_000_000 + 20) % 60:02d}.{micros:06d}Z",
            "message": line[1],
        }

    def send(self, source: str, path: str, params: dict[str, Any], json: Any) -> tuple[int, bytes]:
        import orjson

        answer = self.elasticsearch(json) if json else self.embedded(params)
        if self.while_paging:
            self.lines.append(self.while_paging.pop())
        return 200, orjson.dumps(answer)

    def embedded(self, params: dict[str, Any]) -> dict[str, Any]:
        numbered = list(enumerate(self.lines, 1))
        start, after = params.get("start", 0), params.get("after", 0)
        found = [(time, seq, text) for seq, (time, text) in numbered if time >= start and seq > after]
        found.sort(reverse=True)
        if cursor := params.get("cursor"):
            moment, _, seq = cursor.partition("-")
            found = [one for one in found if (one[0], one[1]) < (int(moment), int(seq))]
        page = found[: params["limit"]]
        following = f"{page[-1][0]}-{page[-1][1]}" if len(page) == params["limit"] else None
        return {
            "logs": [self.document((time, text)) for time, _, text in page],
            "total": len(found),
            "next": following,
            "latest": len(self.lines),
        }

    def elasticsearch(self, json: dict[str, Any]) -> dict[str, Any]:
        bounds: dict[str, Any] = {}
        for clause in json["query"]["bool"]["filter"]:
            bounds |= clause.get("range", {}).get("timestamp", {})
        low, high = bounds.get("gte", 0), bounds.get("lt", 10**15)
        found = sorted((one for one in self.lines if low <= one[0] / 1000 < high), reverse=True)
        page = [{"_source": self.document(one)} for one in found[: json["size"]]]
        return {"hits": {"total": {"value": len(found)}, "hits": page}}


def embedded(store: Store, query: LogQuery, page: int) -> Follower:
    follower = EmbeddedLogs(store, "http://logs.test").follow(query)  # type: ignore[arg-type]
    follower._query = LogQuery(start=query.start, limit=page)
    return follower


def overlapping(store: Store, query: LogQuery, page: int) -> Follower:
    follower = ElasticsearchLogs(store, "http://es.test", "logs").follow(query)  # type: ignore[arg-type]
    follower.PAGE = page
    follower._query = LogQuery(start=query.start, limit=page)
    return follower


FOLLOWERS = [embedded, overlapping]
arrivals = st.lists(
    st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(["a", "b"])), max_size=6), max_size=5
)


@pytest.mark.parametrize("follow", FOLLOWERS)
@settings(deadline=None, max_examples=60)
@given(before=arrivals, batches=arrivals, page=st.integers(3, 9))
def test_every_line_comes_once(
    follow: Callable[..., Follower], before: list[Any], batches: list[Any], page: int
) -> None:
    """Within the overlap lines come in any order; more in one millisecond than a page holds is too many."""
    store = Store([(BEGIN + ms * 1000, text) for batch in before for ms, text in batch])
    per_moment = Counter(ms for batch in before + batches for ms, _ in batch)
    page = max(page, 1 + max(per_moment.values(), default=0))
    follower = follow(store, LogQuery(start=BEGIN, limit=1000), page)
    got = [(line.time, line.message) for line in follower.poll()]
    for batch in batches:
        store.lines += [(BEGIN + ms * 1000, text) for ms, text in batch]
        got += [(line.time, line.message) for line in follower.poll()]
    assert Counter(got) == Counter(store.lines)


@pytest.mark.parametrize("follow", FOLLOWERS)
def test_it_begins_with_the_newest_lines_only(follow: Callable[..., Follower]) -> None:
    store = Store([(BEGIN + second * 1_000_000, str(second)) for second in range(100)])
    follower = follow(store, LogQuery(start=BEGIN, limit=3), 10)
    assert [line.message for line in follower.poll()] == ["97", "98", "99"]
    assert follower.poll() == []
    store.lines.append((BEGIN + 98_500_000, "late"))
    assert [line.message for line in follower.poll()] == ["late"]


def test_a_line_stored_between_two_pages_comes_once() -> None:
    store = Store([(BEGIN, "first")])
    follower = embedded(store, LogQuery(start=BEGIN, limit=10), 2)
    follower.poll()
    store.lines += [(BEGIN + n, f"line {n}") for n in range(5, 10)]
    store.while_paging = [(BEGIN + 1, "between")]
    got = [line.message for line in follower.poll()] + [line.message for line in follower.poll()]
    assert Counter(got) == Counter([f"line {n}" for n in range(5, 10)] + ["between"])


def test_a_store_made_anew_is_followed_on() -> None:
    store = Store([(BEGIN + n, f"line {n}") for n in range(5)])
    follower = embedded(store, LogQuery(start=BEGIN, limit=10), 100)
    follower.poll()
    store.lines = [(BEGIN + 4, "line 4"), (BEGIN + 5, "line 5")]
    assert [line.message for line in follower.poll()] == ["line 5"]
    store.lines.append((BEGIN + 6, "line 6"))
    assert [line.message for line in follower.poll()] == ["line 6"]
