"""A source that is away costs its panel and nothing else: no blank page, no 500."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from recorded import TRACE, Away, Recorded

ADDRESS = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("path", "source", "name"),
    [
        ("/", "prometheus", "Prometheus"),
        ("/", "jaeger", "Jaeger"),
        ("/search", "jaeger", "Jaeger"),
        ("/search?service=car", "jaeger", "Jaeger"),
        (f"/trace/{TRACE}", "logs", "Log search"),
        ("/logs", "logs", "Log search"),
        ("/monitor?service=car", "prometheus", "Prometheus"),
        ("/explore?expr=up", "prometheus", "Prometheus"),
        ("/alerts", "prometheus", "Prometheus"),
    ],
)
def test_a_panel_says_which_source_is_away_where_and_what_to_do(
    open_console: Any, path: str, source: str, name: str
) -> None:
    answer = open_console(**{source: Away()}).get(path)
    assert answer.status_code == 200
    assert f"{name} did not answer" in answer.text
    assert ADDRESS in answer.text
    assert "Start it." in answer.text


def test_the_rest_of_the_page_is_still_there(open_console: Any) -> None:
    page = open_console(prometheus=Away()).get("/").text
    assert 'aria-label="Metrics of car"' in page
    page = open_console(logs=Away()).get(f"/trace/{TRACE}").text
    assert 'id="span-c1"' in page
    page = open_console(jaeger=Away()).get("/logs").text
    assert "GET /price 500" in page


@pytest.mark.parametrize("path", [f"/trace/{TRACE}", f"/trace/{TRACE}...{TRACE}", f"/trace/{TRACE}/span/c1"])
def test_a_page_about_one_source_only_says_so_with_503(open_console: Any, path: str) -> None:
    answer = open_console(jaeger=Away()).get(path)
    assert answer.status_code == 503
    assert "Jaeger did not answer" in answer.text


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_of_a_source_is_shown_as_such(open_console: Any, status: int) -> None:
    answer = open_console(prometheus=Recorded({"/api/v1/query": status})).get("/explore?expr=up%7B")
    assert answer.status_code == 200
    assert f"it answered {status}" in answer.text


def test_a_source_that_hangs_costs_the_time_limit_at_most(open_console: Any) -> None:
    release = threading.Event()

    def hang(params: Any, json: Any) -> Any:
        release.wait(60)
        return {}

    began = time.monotonic()
    answer = open_console(source_timeout=0.5, logs=Recorded({"/api/logs": hang})).get("/logs")
    release.set()
    assert answer.status_code == 200
    assert "did not answer" in answer.text
    assert time.monotonic() - began < 30
