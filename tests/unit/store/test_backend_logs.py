"""Log lines that were stored are found again: by text, field, severity, service, trace and time."""

from __future__ import annotations

import pytest
from backendkit import START

from dashcam.store import blocks, log_histogram

EPOCH = START // 1000


def messages(store, **parameters):
    return [line["message"] for line in store.get("/api/logs", **parameters)["logs"]]


@pytest.fixture
def some(store):
    store.lines(
        {"at": 1, "message": "Started car", "severity": "INFO", "service": "car"},
        {
            "at": 2,
            "message": "quote for e-class asked",
            "severity": "INFO",
            "service": "car",
            "http.route": "/cars/{maker}/{model}/quote",
            "http.response.status_code": 200,
            "trace_id": "ab" * 16,
        },
        {
            "at": 3,
            "message": "connection refused: price",
            "severity": "ERROR",
            "service": "car",
            "exception.stacktrace": 'Traceback:\n  File "x.py"\nOSError',
            "trace_id": "ab" * 16,
        },
        {
            "at": 4,
            "message": "GET / 200",
            "severity": "WARNING",
            "service": "web",
            "http.route": "/",
            "nested": {"deep": [1, "inner"]},
            "ratio": 0.5,
            "flag": True,
        },
        {"at": 5, "message": "Größe naïve ÉCOLE", "service": "web"},
    )
    return store


def test_lines_come_newest_first_with_their_number(some):
    found = some.get("/api/logs", limit=2)
    assert [line["message"] for line in found["logs"]] == ["Größe naïve ÉCOLE", "GET / 200"]
    assert (found["total"], found["total_relation"]) == (5, "eq")


def test_order_asc_gives_the_oldest_first(some):
    assert messages(some, order="asc", limit=2) == ["Started car", "quote for e-class asked"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"service": "web"}, ["Größe naïve ÉCOLE", "GET / 200"]),
        ({"level": "WARN"}, ["GET / 200", "connection refused: price"]),
        ({"level": "error"}, ["connection refused: price"]),
        ({"service": "car", "level": "INFO", "q": "quote"}, ["quote for e-class asked"]),
        ({"trace_id": "ab" * 16}, ["connection refused: price", "quote for e-class asked"]),
        ({"q": "E-CLASS"}, ["quote for e-class asked"]),
        ({"q": "efuse"}, ["connection refused: price"]),
        ({"q": "price connection"}, ["connection refused: price"]),
        ({"q": '"refused: price"'}, ["connection refused: price"]),
        ({"q": '"price refused"'}, []),
        ({"q": "oserror"}, ["connection refused: price"]),
        ({"q": "größe école"}, ["Größe naïve ÉCOLE"]),
        ({"q": "inner"}, ["GET / 200"]),
        ({"q": "stacktrace"}, []),
        ({"q": '"'}, ["connection refused: price"]),
        ({"q": "{model}/"}, ["quote for e-class asked"]),
        ({"q": "ab" * 10}, ["connection refused: price", "quote for e-class asked"]),
        ({"field": "http.response.status_code:200"}, ["quote for e-class asked"]),
        ({"field": "http.response.status_code:20"}, []),
        ({"field": "http.route:/"}, ["GET / 200"]),
        ({"field": "http.route:/cars/{maker}/{model}/quote"}, ["quote for e-class asked"]),
        ({"field": ["flag:true", "ratio:0.5"]}, ["GET / 200"]),
        ({"field": ["flag:true", "ratio:0.6"]}, []),
        ({"field": 'nested.deep:[1,"inner"]'}, ["GET / 200"]),
        ({"field": 'exception.stacktrace:Traceback:\n  File "x.py"\nOSError'}, ["connection refused: price"]),
        (
            {"start": EPOCH + 2_000_000, "end": EPOCH + 3_000_000},
            ["connection refused: price", "quote for e-class asked"],
        ),
        ({"start": EPOCH + 3_000_001, "end": EPOCH + 3_999_999}, []),
    ],
)
def test_a_filter_gives_the_lines_that_fit(some, parameters, expected):
    found = some.get("/api/logs", **parameters)
    assert [line["message"] for line in found["logs"]] == expected
    assert found["total"] == len(expected)


def test_several_services_are_any_of_them(some):
    assert len(messages(some, service=["web", "car"])) == 5


def test_pages_follow_each_other_without_a_gap_or_a_repetition(store):
    store.lines(*({"at": i // 7, "message": str(i), "service": "car"} for i in range(3 * blocks.LINES)))
    seen, cursor, pages = [], None, 0
    while cursor or not pages:
        page = store.get("/api/logs", limit=100, **({"cursor": cursor} if cursor else {}))
        seen += [line["message"] for line in page["logs"]]
        cursor, pages = page["next"], pages + 1
        assert page["total"] == 3 * blocks.LINES
    assert seen == [str(i) for i in range(3 * blocks.LINES - 1, -1, -1)]


def test_a_follower_gets_each_later_line_once(store):
    store.lines({"message": "a"}, {"message": "b"})
    latest = store.get("/api/logs", limit=1)["latest"]
    assert messages(store, after=latest) == []
    store.lines({"at": -100, "message": "c"})
    follow = store.get("/api/logs", after=latest, order="asc")
    assert [line["message"] for line in follow["logs"]] == ["c"]
    assert messages(store, after=follow["latest"]) == []


def test_small_blocks_are_merged_and_nothing_changes_for_a_search(store):
    for i in range(blocks.LINES + 10):
        store.lines({"at": i, "message": f"word{i} x", "service": f"s{i % 3}", "severity": "INFO"})
    assert messages(store, q="word7") == [
        f"word{i} x" for i in range(blocks.LINES + 9, -1, -1) if str(i)[0] == "7"
    ]
    assert store.get("/api/logs", service="s1")["total"] == len(range(1, blocks.LINES + 10, 3))
    assert store.get("/api/logs/services")["services"] == ["s0", "s1", "s2"]
    assert len(messages(store, limit=5000)) == blocks.LINES + 10


def test_the_histogram_counts_by_severity(some):
    body = some.get("/api/logs/histogram", start=EPOCH, end=EPOCH + 5_999_999, buckets=3)
    assert body["width"] == 2_000_000
    assert [bucket["counts"] for bucket in body["buckets"]] == [
        {"INFO": 1},
        {"INFO": 1, "ERROR": 1},
        {"UNKNOWN": 1, "WARN": 1},
    ]


def test_the_histogram_of_a_text_counts_only_its_lines(some):
    body = some.get("/api/logs/histogram", start=EPOCH, end=EPOCH + 9_999_999, buckets=1, q="refused")
    assert body["buckets"][0]["counts"] == {"ERROR": 1}


def test_the_histogram_adds_up_over_many_blocks(store):
    store.lines(
        *(
            {"at": i / 10, "message": "m", "service": "car", "severity": "INFO"}
            for i in range(5 * blocks.LINES)
        )
    )
    for buckets in (1, 7, 1000):
        body = store.get(
            "/api/logs/histogram", start=EPOCH, end=EPOCH + 10**9, buckets=buckets, service="car"
        )
        assert sum(bucket["counts"].get("INFO", 0) for bucket in body["buckets"]) == 5 * blocks.LINES


def test_the_histogram_of_what_many_blocks_hold_is_estimated_and_says_so(store, monkeypatch):
    monkeypatch.setattr(log_histogram, "BLOCKS", 10)
    lines = 40 * blocks.LINES
    store.lines(
        *(
            {
                "at": i / 100,
                "message": "even" if i % 2 else "odd",
                "severity": "ERROR" if i >= lines // 2 else "INFO",
            }
            for i in range(lines)
        )
    )
    window = {"start": EPOCH, "end": EPOCH + lines * 10_000 - 1, "buckets": 4}
    body = store.get("/api/logs/histogram", q="even", **window)
    assert body["total_relation"] == "about"
    for bucket, level in zip(body["buckets"], ("INFO", "INFO", "ERROR", "ERROR"), strict=True):
        assert bucket["counts"][level] == pytest.approx(lines / 8, rel=0.3)
    monkeypatch.setattr(log_histogram, "BLOCKS", 40)
    body = store.get("/api/logs/histogram", q="even", **window)
    assert body["total_relation"] == "eq"
    assert [sum(bucket["counts"].values()) for bucket in body["buckets"]] == [lines / 8] * 4


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"limit": "0"}, "limit=0"),
        ({"limit": "x"}, "limit"),
        ({"limit": "999999"}, "limit=999999"),
        ({"level": "loud"}, "level='loud'"),
        ({"field": "nocolon"}, "field='nocolon'"),
        ({"trace_id": "xyz"}, "xyz"),
        ({"start": "yesterday"}, "start"),
        ({"end": "1.5"}, "end"),
        ({"order": "up"}, "order='up'"),
        ({"cursor": "what"}, "cursor='what'"),
        ({"cursor": "1-x"}, "cursor"),
        ({"after": "x"}, "after"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(store, parameters, named):
    response = store.client.get("/api/logs", query_string=parameters)
    assert response.status_code == 400
    assert named in response.get_json()["errors"][0]["msg"]


@pytest.mark.parametrize("parameters", [{"buckets": "0"}, {"buckets": "2000"}, {"start": "5", "end": "5"}])
def test_a_histogram_that_cannot_be_made_is_a_400(store, parameters):
    assert store.client.get("/api/logs/histogram", query_string=parameters).status_code == 400


@pytest.mark.parametrize("q", ['"', '"open', "''", "%_*?[]{}()\\", "\\", "\x00", "a" * 5000, "💥", "-"])
def test_no_text_breaks_the_search(some, q):
    assert some.client.get("/api/logs", query_string={"q": q}).status_code == 200


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_lines_that_arrive_late_take_their_place_in_the_order(store, order):
    """Two files are read one after the other, so the blocks' times overlap."""
    store.lines(*({"at": 2 * i, "message": str(2 * i)} for i in range(blocks.LINES)))
    store.lines(*({"at": 2 * i + 1, "message": str(2 * i + 1)} for i in range(blocks.LINES)))
    expected = [str(i) for i in range(2 * blocks.LINES)]
    if order == "desc":
        expected.reverse()
    for limit in (1, 10, blocks.LINES, 2 * blocks.LINES):
        assert messages(store, order=order, limit=limit) == expected[:limit]
