"""The preview: panels drawn from the JSON that Grafana loads, and what comes from Prometheus escaped."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from dashboards.preview import Window, render
from dashboards.preview.fields import href
from dashboards.preview.render import defaults
from dashboards.preview.units import shown
from dashcam.sources import Prometheus
from dashcam.sources.errors import SourceAway

END = 1_700_000_000.0


class Answers:
    """A transport that answers every query with one series of the given labels and value, or fails."""

    def __init__(self, labels: dict[str, str], value: str = "1", error: Exception | None = None) -> None:
        self.labels, self.value, self.error = labels, value, error
        self.asked: list[str] = []

    def send(self, source: str, path: str, params: Any, json: Any | None) -> tuple[int, bytes]:
        self.asked.append(str(params["query"]))
        if self.error:
            raise self.error
        if path.endswith("query_exemplars"):
            exemplar = {"labels": {"trace_id": "abc<"}, "value": "0.2", "timestamp": END - 5}
            found = [{"seriesLabels": self.labels, "exemplars": [exemplar]}]
            return 200, _dumps({"status": "success", "data": found})
        times = [END - 20, END - 10, END]
        row = (
            {"metric": self.labels, "values": [[time, self.value] for time in times]}
            if path.endswith("query_range")
            else {"metric": self.labels, "value": [END, self.value]}
        )
        kind = "matrix" if path.endswith("query_range") else "vector"
        return 200, _dumps({"status": "success", "data": {"resultType": kind, "result": [row]}})


def _dumps(document: Any) -> bytes:
    return json.dumps(document).encode()


def _panel(kind: str, *, legend: str = "{{job}}", unit: str = "s", **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "title": "A <panel>",
        "description": "What to conclude.",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [{"expr": 'rate(up{job="$service"}[$__rate_interval])', "legendFormat": legend}],
        **more,
    }


def _draw(panel: dict[str, Any], answers: Answers) -> str:
    variable = {"name": "service", "current": {"value": "car"}}
    board = {"title": "Board", "panels": [panel], "templating": {"list": [variable]}}
    window = Window(END, 60, {"service": "car"})
    return render(board, Prometheus(answers, "http://prometheus"), window)


@pytest.mark.parametrize("kind", ["timeseries", "stat", "bargauge", "table"])
def test_each_kind_of_panel_shows_the_value_and_escapes_what_prometheus_sent(kind: str) -> None:
    body = _draw(_panel(kind), Answers({"job": "<script>alert(1)</script>"}, "0.25"))
    assert "<script>" not in body
    assert "A &lt;panel&gt;" in body
    assert "250 ms" in body


def test_variables_are_filled_in_before_prometheus_is_asked() -> None:
    answers = Answers({"job": "car"})
    _draw(_panel("timeseries"), answers)
    assert answers.asked == ['rate(up{job="car"}[20s])']


def test_an_exemplar_is_a_point_that_opens_its_trace() -> None:
    panel = _panel("timeseries")
    panel["targets"][0]["exemplar"] = True
    body = _draw(panel, Answers({"job": "car"}))
    assert 'href="http://localhost:16686/trace/abc%3C"' in body
    assert "200 ms: open the trace" in body


def test_a_heatmap_draws_each_bucket_less_the_one_below() -> None:
    body = _draw(_panel("heatmap", legend="{{le}}"), Answers({"le": "0.5"}, "4"))
    assert body.count('class="cell"') == 3


def test_a_panel_that_prometheus_cannot_answer_says_so_and_the_page_is_still_drawn() -> None:
    away = SourceAway("Prometheus", "http://prometheus", "connection refused", "Start it.")
    body = _draw(_panel("stat"), Answers({}, error=away))
    assert "connection refused" in body
    assert 'class="failed"' in body
    assert "What to conclude." in body


def test_a_value_that_is_not_a_number_leaves_a_gap_and_no_drawing_error() -> None:
    body = _draw(_panel("timeseries"), Answers({"job": "car"}, "NaN"))
    assert "nan" not in body.split("<svg")[1].split("</svg>")[0]


def test_markup_in_a_text_panel_is_shown_and_not_run() -> None:
    panel = _panel("text", options={"content": "**Read** <img src=x onerror=alert(1)>"})
    body = _draw(panel, Answers({}))
    assert "<strong>Read</strong>" in body
    assert "<img" not in body


def test_log_and_trace_panels_lead_to_the_console() -> None:
    body = _draw(_panel("logs", targets=[{"query": "service:$service"}]), Answers({}))
    assert 'href="http://localhost:16686/logs?service=car&amp;level=ERROR"' in body


def _with_defaults(kind: str, **more: Any) -> dict[str, Any]:
    panel = _panel(kind, unit=more.pop("unit", "percentunit"))
    panel["fieldConfig"]["defaults"] |= more
    return panel


BUDGET = {"steps": [{"value": None, "color": "red"}, {"value": 0, "color": "orange"}]}
NO_DATA = {
    "type": "special",
    "options": {"match": "null+nan", "result": {"text": "no data", "color": "#8e99a8"}},
}


@pytest.mark.parametrize("kind", ["stat", "bargauge"])
def test_what_is_below_zero_is_red_and_shown_as_what_it_is(kind: str) -> None:
    panel = _with_defaults(kind, thresholds=BUDGET, decimals=1)
    body = _draw(panel, Answers({"job": "car"}, "-2.25"))
    assert "-225.0 %" in body
    assert "is-red" in body
    assert "is-orange" not in body


def test_a_graph_without_a_lower_end_has_room_below_zero() -> None:
    below = _draw(_with_defaults("timeseries"), Answers({"job": "car"}, "-2"))
    cut = _draw(_with_defaults("timeseries", min=0), Answers({"job": "car"}, "-2"))
    assert "-200 %" in below.split("<svg")[1].split("</svg>")[0]
    assert "-200 %" not in cut.split("<svg")[1].split("</svg>")[0]


def test_no_data_has_its_own_words_and_the_colour_of_nothing_else() -> None:
    panel = _with_defaults(
        "stat", mappings=[NO_DATA], thresholds={"steps": [{"value": None, "color": "green"}]}
    )
    body = _draw(panel, Answers({}, "NaN"))
    assert '<b class="number is-nothing">no data</b>' in body
    assert "is-green" not in body


def test_a_series_has_the_colour_of_its_meaning() -> None:
    panel = _panel("timeseries", legend="{{severity}}")
    matcher = {"id": "byRegexp", "options": "/(^| )(ERROR)$/"}
    colour = {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}
    panel["fieldConfig"]["overrides"] = [{"matcher": matcher, "properties": [colour]}]
    assert 'class="line is-red"' in _draw(panel, Answers({"severity": "ERROR"}))
    assert 'class="line c0"' in _draw(panel, Answers({"severity": "INFO"}))


def test_a_graph_has_a_line_at_its_limit() -> None:
    steps = {"steps": [{"value": None, "color": "green"}, {"value": 0.5, "color": "red"}]}
    custom = {"thresholdsStyle": {"mode": "line"}}
    body = _draw(_with_defaults("timeseries", thresholds=steps, custom=custom), Answers({"job": "car"}, "1"))
    assert body.count('class="limit is-red"') == 1


def test_a_folded_row_is_folded_and_its_panels_are_in_it() -> None:
    row = {"type": "row", "title": "Far away", "collapsed": True, "panels": [_panel("stat")]}
    body = _draw(row, Answers({"job": "car"}))
    assert '<details class="folded"><summary><h2>Far away</h2></summary>' in body
    assert "A &lt;panel&gt;" in body


def test_all_of_a_variable_is_whatever_there_is() -> None:
    variable = {"name": "cluster", "current": {"value": "$__all"}}
    assert defaults({"templating": {"list": [variable]}}) == {"cluster": ".*"}


def test_a_column_keeps_all_of_its_links() -> None:
    links = [{"title": f"Runbook: {name}", "url": f"/d/{name}"} for name in ("One", "Two")]
    panel = _panel("table", legend="Value")
    override = {
        "matcher": {"id": "byName", "options": "sli"},
        "properties": [{"id": "links", "value": links}],
    }
    panel["fieldConfig"]["overrides"] = [override]
    body = _draw(panel, Answers({"sli": "latency"}))
    assert re.findall(r'href="[^"]*/runbooks/(\w+)"[^>]*>([^<]+)</a>', body) == [
        ("One", "Runbook: One"),
        ("Two", "Runbook: Two"),
    ]


def test_a_table_s_link_leads_to_a_page_of_the_preview_or_to_the_console_s_runbook() -> None:
    labels = {"alertname": "ServiceDown", "service": "car"}
    console = "http://localhost:16686"
    page = href("/d/dashcam-service?var-service=${__data.fields.service}", labels, console)
    assert page == "dashcam-service.html"
    assert href("/d/${__data.fields.alertname}", labels, console) == f"{console}/runbooks/ServiceDown"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.123456, "percentunit", "12.3 %"),
        (0.0042, "s", "4.2 ms"),
        (90, "s", "1.5 min"),
        (1536, "bytes", "1.5 KiB"),
        (1234567, "none", "1.23 M"),
        (2.5, "reqps", "2.5 req/s"),
        (0, "s", "0 s"),
        (math.nan, "s", "—"),
        (math.inf, "none", "∞"),
        (1000, "percentunit", "100000 %"),
    ],
)
def test_numbers_are_written_with_their_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text
