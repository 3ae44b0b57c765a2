"""A hundred services with names of every kind, as a console's sources tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import recorded
from recorded import Recorded

from dashcam.sources import Sources

LONG = "com.example.payments.settlement-and-reconciliation-service-europe-west"
WIDE = "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"
ASIAN = "決済サービスと在庫管理サービスの共有基盤"
NAMES = [*(f"{LONG}-{number:02d}" for number in range(95)), WIDE, ASIAN, "failing-one", "down-one", "fired"]


def name_of(number: int) -> str:
    return NAMES[number % len(NAMES)]


def trace_of(number: int) -> dict[str, Any]:
    """`number` calls the next one, which asks its database."""
    trace = f"{number:032x}"
    caller, called = name_of(number), name_of(number + 1)
    spans = [
        recorded.span("a", None, "GET /x", "p1", 0, 9000, trace=trace, span__kind="server"),
        recorded.span("b", "a", "GET", "p1", 1000, 7000, trace=trace, span__kind="client"),
        recorded.span("c", "b", "GET /y", "p2", 2000, 5000, trace=trace, span__kind="server"),
        recorded.span("d", "c", "SELECT", "p2", 3000, 900, trace=trace, span__kind="client", db__system="pg"),
    ]
    return {"traceID": trace, "spans": spans, "processes": recorded.processes(p1=caller, p2=called)}


def sources(more: int = 0) -> Sources:
    """Sources in which `down-one` is down, `fired` has an alert, `failing-one` fails; others are busier.

    There are `more` services with long names besides.
    """
    names = [*NAMES, *(f"{LONG}-more-{number:04d}" for number in range(more))]
    rates = {name: 900.0 - place for place, name in enumerate(names)}

    def instant(params: Mapping[str, Any], json: Any) -> Any:
        query = params["query"]
        if query.startswith("sum by (job) (up)"):
            return recorded.vector(**{name: 0.0 if name == "down-one" else 1.0 for name in names})
        if "histogram_quantile" in query:
            return recorded.vector(**dict.fromkeys(names, 0.25))
        if "5.." in query or "error" in query:
            return recorded.vector(**{name: 0.5 if name == "failing-one" else 0.0 for name in names})
        return recorded.vector(**rates) if "rate(" in query else recorded.vector()

    def search(params: Mapping[str, Any], json: Any) -> Any:
        place = names.index(str(params["service"]))
        return {"data": [trace_of(place)], "total": 1, "errors": None}

    jaeger = recorded.jaeger_answers() | {
        "/api/services": {"data": sorted(names), "total": len(names), "errors": None},
        "/api/traces": search,
        "/api/dependencies": {"data": [], "errors": None},
    }
    metrics = recorded.prometheus_answers() | {
        "/api/v1/query": instant,
        "/api/v1/alerts": recorded.alerts(recorded.alert("Burning", service="fired", severity="page")),
    }
    return recorded.sources(jaeger=Recorded(jaeger), prometheus=Recorded(metrics))
