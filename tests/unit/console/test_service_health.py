"""How a service is doing, also one without metrics, or of which nothing is known yet."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from dashcam.console import service_health, span_figures
from dashcam.console.gather import Gatherer
from dashcam.console.parameters import Window
from dashcam.console.service_health import Service
from dashcam.model.logs import LogLine, LogPage
from dashcam.model.traces import Span, Trace
from dashcam.sources import Sample

WINDOW = Window(0, 100_000_000, "100s")


def span(number: int, *, service: str = "shop", parent: int = 0, ms: int = 100, **attributes: Any) -> Span:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span(
        "t", str(number), str(parent) if parent else None, "op", service, 50_000_000, ms * 1000, named, {}
    )


def trace(*spans: Span) -> Trace:
    return Trace("t", spans)


class Away:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError("not to be asked")


def sources(traces: dict[str, list[Trace]], lines: Sequence[dict[str, Any]] = ()) -> Any:
    def search(query: Any) -> Any:
        if hasattr(query, "fields"):
            found = [LogLine(line) for line in lines if query.fields.items() <= line.items()]
            return LogPage(found, len(found))
        return traces.get(query.service, [])

    return SimpleNamespace(
        traces=SimpleNamespace(search=search, services=lambda: sorted(traces)),
        logs=SimpleNamespace(search=search),
        metrics=SimpleNamespace(
            instant=lambda promql, at=None: [], range=lambda *given: [], alerts=lambda: []
        ),
    )


def gathered(given: Any) -> dict[str, Service]:
    found, errors = service_health.gather_services(given, Gatherer(30.0), WINDOW)
    assert errors == []
    return {service.name: service for service in found}


@pytest.mark.parametrize(
    ("figures", "state"),
    [
        ({}, "unknown"),
        ({"saturation": 0.1}, "unknown"),
        ({"up": 1.0}, "ok"),
        ({"up": 0.0, "errors": 0.0}, "down"),
        ({"rate": 1.0, "errors": 0.0}, "ok"),
        ({"errors": 0.5}, "failing"),
    ],
)
def test_a_service_is_ok_only_where_something_says_so(figures: dict[str, float], state: str) -> None:
    assert Service("shop", figures, "", [], "").state == state


def test_a_service_that_was_just_started_is_not_down_before_its_first_scrape() -> None:
    given = sources({"shop": [trace(span(1))]})
    given.metrics.instant = lambda promql, at=None: (
        [Sample({"job": "shop"}, 1.0, 0.0)] if "(up)" in promql else []
    )
    assert gathered(given)["shop"].state == "unknown"
    assert Service("shop", {"up": 0.0}, "", [], "").state == "down", "nor do spans say otherwise"


def test_a_service_without_metrics_is_judged_by_its_spans_and_it_is_said() -> None:
    whole = [
        trace(span(1, ms=100)),
        trace(span(2, ms=300, error=True)),
        trace(span(3, ms=200), span(4, parent=3, ms=5)),
    ]
    shop = gathered(sources({"shop": whole}))["shop"]
    assert shop.from_spans
    assert shop.state == "failing"
    assert shop.figure("rate") == pytest.approx(3 / 100)
    assert shop.figure("errors") == pytest.approx(1 / 3)
    assert (shop.figure("p50"), shop.figure("p99")) == (0.2, 0.3)


def test_a_service_whose_every_span_fails_is_never_ok() -> None:
    assert gathered(sources({"shop": [trace(span(1, error=True))]}))["shop"].state == "failing"


@pytest.mark.parametrize(
    "entry",
    [
        {"span__kind": "server", "rpc__system": "grpc"},
        {"span__kind": "consumer", "messaging__system": "kafka"},
        {"span__kind": "server", "faas__trigger": "timer"},
        {"span__kind": "internal"},
        {"span__kind": "client", "db__system": "redis"},
    ],
)
def test_what_enters_a_service_counts_whatever_it_is(entry: dict[str, Any]) -> None:
    caller = span(1, service="other", ms=900)
    made = trace(caller, span(2, parent=1, **entry), span(3, parent=2, span__kind="client"))
    assert [one.span_id for one in span_figures.entries(made, "shop")] == ["2"]


def test_the_rate_of_many_traces_is_that_of_the_time_they_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_figures, "TRACES", 2)
    found = span_figures.figures("shop", [trace(span(1)), trace(span(2))], WINDOW)
    assert found["rate"] == pytest.approx(2 / 50)


def test_a_program_that_was_just_started_is_shown_until_it_ends() -> None:
    lines = [
        {"service": "orders", "dashcam.program": "started", "timestamp": "1970-01-01T00:00:10Z"},
        {"service": "gone", "dashcam.program": "started", "timestamp": "1970-01-01T00:00:10Z"},
        {"service": "gone", "dashcam.program": "ended", "timestamp": "1970-01-01T00:00:20Z"},
        {"service": "again", "dashcam.program": "ended", "timestamp": "1970-01-01T00:00:20Z"},
        {"service": "again", "dashcam.program": "started", "timestamp": "1970-01-01T00:00:30Z"},
    ]
    found = gathered(sources({}, lines))
    assert sorted(found) == ["again", "orders"]
    assert found["orders"].state == "unknown"


def test_services_with_metrics_are_not_asked_for_their_spans() -> None:
    away: Any = SimpleNamespace(traces=Away())
    measured = Service("shop", {"rate": 2.0}, "", [], "")
    assert service_health.with_spans([measured], away, Gatherer(30.0), WINDOW) == [measured]
