"""Both adapters of the log search: what they ask, what they make of the answer."""

from __future__ import annotations

from typing import Any

import pytest
import recorded
from recorded import TRACE, Recorded

from dashcam.model.logs import microseconds
from dashcam.sources import LogLine, LogQuery, SourceUnreadable
from dashcam.sources.elasticsearch import ElasticsearchLogs
from dashcam.sources.embedded_logs import EmbeddedLogs

QUERY = LogQuery("car", TRACE, "b1", "WARN", "two words", {"http.route": "/cars"}, 1_000, 9_000, 5)


def test_the_embedded_search_is_asked_with_its_own_names() -> None:
    transport = Recorded(recorded.log_answers())
    page = EmbeddedLogs(transport, "http://logs.test").search(QUERY)
    assert page.total == 2
    assert transport.asked == [
        (
            "/api/logs",
            {
                "service": "car",
                "trace_id": TRACE,
                "level": "WARN",
                "q": "two words",
                "field": ["http.route:/cars", "span_id:b1"],
                "start": 1_000,
                "end": 9_000,
                "limit": 5,
            },
        )
    ]


def test_the_embedded_histogram_gives_each_bucket_its_width() -> None:
    (bucket,) = EmbeddedLogs(Recorded(recorded.log_answers()), "http://logs.test").histogram(QUERY, 1)
    assert (bucket.width, bucket.total) == (1_000_000, 2)


def test_an_embedded_answer_of_another_shape_is_unreadable() -> None:
    with pytest.raises(SourceUnreadable, match="LOGS_URL"):
        EmbeddedLogs(Recorded({"/api/logs": {"hits": []}}), "http://logs.test").search(QUERY)


def elasticsearch(answer: Any) -> tuple[ElasticsearchLogs, list[dict[str, Any]]]:
    asked: list[dict[str, Any]] = []

    def play(params: Any, json: Any) -> Any:
        asked.append(json)
        return answer

    return ElasticsearchLogs(Recorded({"/logs-*/_search": play}), "http://es.test", "logs-*"), asked


def hits(*sources: dict[str, Any]) -> dict[str, Any]:
    return {"hits": {"total": {"value": 12, "relation": "eq"}, "hits": [{"_source": one} for one in sources]}}


def test_elasticsearch_lines_come_back_flat_as_the_service_wrote_them() -> None:
    document = {
        "@timestamp": "2026-09-21T14:13:20.123456Z",
        "message": "GET /cars 200",
        "http": {"response": {"status_code": 200}},
        "kubernetes": {"pod_name": "car-1"},
    }
    page = elasticsearch(hits(document))[0].search(QUERY)
    assert page.total == 12
    fields = page.lines[0].fields
    assert fields["http.response.status_code"] == 200
    assert fields["kubernetes.pod_name"] == "car-1"
    assert page.lines[0].time == 1_790_000_000_123_456


def test_elasticsearch_looks_for_a_field_under_every_spelling() -> None:
    client, asked = elasticsearch(hits())
    client.search(LogQuery(fields={"http.route": "/cars"}))
    (clause,) = asked[0]["query"]["bool"]["filter"]
    names = {name for should in clause["bool"]["should"] for name in should["term"]}
    assert names == {"http.route", "http.route.keyword", "http_route", "http_route.keyword"}


def test_elasticsearch_is_asked_for_the_severity_and_all_above_it() -> None:
    client, asked = elasticsearch(hits())
    client.search(LogQuery(level="ERROR"))
    (clause,) = asked[0]["query"]["bool"]["filter"]
    values = {
        value
        for inner in clause["bool"]["should"]
        for one in inner["bool"]["should"]
        for value in one["term"].values()
    }
    assert values == {"ERROR", "FATAL"}


def test_elasticsearch_is_asked_for_milliseconds_newest_first() -> None:
    client, asked = elasticsearch(hits())
    client.search(LogQuery(start=1_500_000, end=2_500_000, limit=3))
    body = asked[0]
    assert body["size"] == 3
    (clause,) = body["query"]["bool"]["filter"]
    assert clause["range"]["timestamp"] == {"format": "epoch_millis", "gte": 1500, "lt": 2501}
    assert body["sort"][0]["timestamp"]["order"] == "desc"


def test_lines_of_others_are_sorted_by_the_time_they_were_received() -> None:
    asked: list[Any] = []

    def play(params: Any, json: Any) -> Any:
        asked.append(json)
        return hits({"@timestamp": "2026-09-21T14:13:20Z", "timestamp": "yesterday", "log": "x"})

    client = ElasticsearchLogs(Recorded({"/l/_search": play}), "http://es.test", "l", "@timestamp")
    page = client.search(LogQuery(limit=1))
    assert asked[0]["sort"][0]["@timestamp"]["order"] == "desc"
    assert page.lines[0].time == 1_790_000_000_000_000


def test_the_elasticsearch_histogram_counts_by_severity() -> None:
    row = {"from": 1.0, "severity": {"buckets": {"INFO": {"doc_count": 3}, "ERROR": {"doc_count": 0}}}}
    client, _ = elasticsearch({"aggregations": {"time": {"buckets": [row]}}})
    (bucket,) = client.histogram(LogQuery(start=1_000, end=2_000), 1)
    assert (bucket.start, dict(bucket.counts)) == (1_000, {"INFO": 3})


def test_an_elasticsearch_answer_of_another_shape_is_unreadable() -> None:
    with pytest.raises(SourceUnreadable):
        elasticsearch({"took": 1})[0].search(QUERY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-21T14:13:20Z", 1_790_000_000_000_000),
        ("2026-09-21T14:13:20.5Z", 1_790_000_000_500_000),
        ("2026-09-21T14:13:20.123456789Z", 1_790_000_000_123_456),
        ("2026-09-21T16:13:20+02:00", 1_790_000_000_000_000),
        ("yesterday", None),
        ("", None),
    ],
)
def test_timestamps_of_any_precision_are_read(text: str, expected: int | None) -> None:
    assert microseconds(text) == expected


def test_a_line_without_a_readable_time_still_shows() -> None:
    line = LogLine({"message": "x", "timestamp": 7})
    assert (line.time, line.severity, line.trace_id) == (0, "", "")


def test_elasticsearch_is_asked_again_for_the_last_minute_because_lines_come_in_any_order() -> None:
    hits = {"total": {"value": 1}, "hits": [{"_source": {"timestamp": "2026-09-21T14:13:20.000001Z"}}]}
    transport = Recorded({"/logs/_search": {"hits": hits}})
    asked: list[Any] = []
    send = transport.send
    transport.send = lambda *args: asked.append(args[3]) or send(*args)  # type: ignore[func-returns-value, method-assign]
    client = ElasticsearchLogs(transport, "http://es.test", "logs")
    place = client.search(LogQuery()).place
    assert place == "1790000000000001"
    later = client.since(LogQuery(start=5, end=9), str(int(place) + 7_000_000))
    times = asked[1]["query"]["bool"]["filter"][-1]["range"]["timestamp"]
    assert times == {"format": "epoch_millis", "gte": 1_790_000_000_000 + 7_000 - 60_000}
    assert later.place == "1790000007000001"


@pytest.mark.parametrize(
    ("written", "read"),
    [("warning", "WARN"), ("CRITICAL", "FATAL"), ("Notice", "INFO"), ("ERROR", "ERROR"), ("audit", "AUDIT")],
)
def test_words_for_one_level_are_one_to_pages_and_diagnosis(written: str, read: str) -> None:
    assert LogLine({"severity": written}).severity == read
