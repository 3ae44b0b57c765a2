"""The stack with `car` and `minus` as one process: the same dashboards and jobs, one process less."""

from __future__ import annotations

import math
from collections.abc import Callable

import httpx
from local.conftest import RunningStack
from local.test_dashboards_live import Asked, asked_of
from polling import until

from dashcam.stack.settings import ROOT

EXAMPLE = ROOT / "examples" / "monolith" / "dashcam.toml"
EVERY = 5.0
"""Seconds between two scrapes of a stack: a rate over less than two of them is empty by chance."""
PANELS = ("Requests by route", "Answers by status", "Durations")


def test_the_dashboards_of_both_show_the_monolith(start_stack: Callable[..., RunningStack]) -> None:
    stack = start_stack(DASHCAM_FILE=str(EXAMPLE))
    assert "minus" not in {part.name for part in stack.status().parts}

    def query(promql: str) -> list[dict[str, dict[str, str]]]:
        answer = httpx.get(f"{stack.prometheus}/api/v1/query", params={"query": promql}).json()
        return [row for row in answer["data"]["result"] if not math.isnan(float(row["value"][1]))]

    asked: dict[str, list[Asked]] = {
        name: [
            each for each in asked_of(name, EVERY) if each.board == "dashcam-service" and each.panel in PANELS
        ]
        for name in ("car", "minus")
    }

    empty: list[str] = []

    def answered() -> bool:
        page = httpx.get(f"{stack.web}/cars/bentz/e-class", params={"discount": 500}, timeout=30)
        assert "61,500" in page.text
        assert httpx.get(f"{stack.car}/minus?x=5&y=3", timeout=30).json() == {"result": 2}
        empty[:] = [str(each) for group in asked.values() for each in group if not query(each.query)]
        return not empty

    until(answered, lambda: f"data in {empty}", every=1)
    routes = {
        job: {
            row["metric"]["http_route"]
            for row in query(f'http_server_request_duration_seconds_count{{job="{job}"}}')
        }
        for job in asked
    }
    assert routes["minus"] == {"/minus"}
    assert routes["car"] >= {"/cars/<string:maker>/<string:model>/quote"}
    assert not routes["car"] & routes["minus"]
