"""The client of Prometheus' HTTP API, on recorded answers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from recorded import Recorded

from dashcam.sources import Prometheus, SourceRefused, SourceUnreadable


def prometheus(path: str, answer: Any) -> Prometheus:
    return Prometheus(Recorded({path: answer}), "http://prometheus.test")


def result(kind: str, value: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": value}}


def test_a_vector_becomes_samples() -> None:
    answer = result("vector", [{"metric": {"job": "car"}, "value": [1.5, "NaN"]}])
    (sample,) = prometheus("/api/v1/query", answer).instant("up")
    assert (dict(sample.labels), sample.time) == ({"job": "car"}, 1.5)
    assert math.isnan(sample.value)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("scalar", [1, "2.5"], 2.5), ("matrix", [{"metric": {}, "values": [[1, "1"], [2, "3"]]}], 3.0)],
)
def test_other_result_types_are_read_too(kind: str, value: Any, expected: float) -> None:
    (sample,) = prometheus("/api/v1/query", result(kind, value)).instant("x")
    assert sample.value == expected


def test_a_range_becomes_series() -> None:
    answer = result("matrix", [{"metric": {"job": "car"}, "values": [[1, "0.5"], [2, "+Inf"]]}])
    (series,) = prometheus("/api/v1/query_range", answer).range("x", 0, 10, 1)
    assert series.points == ((1.0, 0.5), (2.0, math.inf))


def test_exemplars_keep_series_and_trace_oldest_first() -> None:
    def one(trace: str, time: float) -> dict[str, Any]:
        return {"labels": {"trace_id": trace}, "value": "0.1", "timestamp": time}

    data = [{"seriesLabels": {"job": "car"}, "exemplars": [one("b", 2), one("a", 1)]}]
    found = prometheus("/api/v1/query_exemplars", {"status": "success", "data": data}).exemplars("x", 0, 9)
    assert [(exemplar.trace_id, exemplar.series["job"]) for exemplar in found] == [("a", "car"), ("b", "car")]


def test_an_alert_is_read_with_its_nanoseconds() -> None:
    row = {
        "labels": {"alertname": "Down"},
        "annotations": {"summary": "down"},
        "state": "firing",
        "activeAt": "2026-11-22T16:53:43.719462797Z",
        "value": "1e+00",
    }
    (alert,) = prometheus("/api/v1/alerts", {"status": "success", "data": {"alerts": [row]}}).alerts()
    assert (alert.name, alert.state, alert.value) == ("Down", "firing", 1.0)
    assert alert.active_at == pytest.approx(1795366423.719462)


def test_a_bad_expression_is_refused() -> None:
    with pytest.raises(SourceRefused):
        prometheus("/api/v1/query", 400).instant("up{")


@pytest.mark.parametrize("answer", [b"nope", {"status": "error"}, result("vector", [{"metric": {}}])])
def test_an_answer_of_another_shape_is_unreadable(answer: Any) -> None:
    with pytest.raises(SourceUnreadable, match="PROMETHEUS_URL"):
        prometheus("/api/v1/query", answer).instant("up")
