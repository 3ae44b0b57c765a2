"""What the diagnosis asks Prometheus, evaluated by Prometheus' own tool on series made by hand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashcam.diagnose.observe import QUERIES, _asked, _rate

UP = {"series": 'up{job="shop",instance="a"}', "values": "1x30"}
RATE = _asked("sum by (status) " + _rate("asked_total"), 15)


def evaluated(tmp_path: Path, promql: str, at: str, *series: dict[str, str]) -> dict[str, float]:
    """The values of `promql` at this time by the label `status`, with a sample every five seconds."""
    page: dict[str, Any] = {
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": list(series),
                # Expected to be nothing, so that the tool says what there is.
                "promql_expr_test": [{"expr": promql, "eval_time": at, "exp_samples": []}],
            }
        ],
    }
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump(page))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert "parse error" not in done.stderr + done.stdout, done.stderr + done.stdout
    got = (done.stdout + done.stderr).partition("got:")[2]
    return {status: float(value) for status, value in re.findall(r'{status="(\d+)"} (\S+?),?\s', got + "\n")}


def counter(status: str, values: str) -> dict[str, str]:
    return {"series": f'asked_total{{job="shop",instance="a",status="{status}"}}', "values": values}


def test_the_first_failure_counts_though_its_series_is_new(tmp_path: Path) -> None:
    got = evaluated(tmp_path, RATE, "60s", UP, counter("200", "0+10x30"), counter("500", "_x11 3x30"))
    assert got == pytest.approx({"200": 2.0, "500": 3 / 15})


def test_what_made_a_series_is_forgotten_when_it_is_older_than_the_window(tmp_path: Path) -> None:
    got = evaluated(tmp_path, RATE, "90s", UP, counter("200", "0+10x30"), counter("500", "_x11 3x30"))
    assert got == pytest.approx({"200": 2.0, "500": 0.0})


def test_a_series_that_grows_from_its_first_sample_on_counts_once(tmp_path: Path) -> None:
    got = evaluated(tmp_path, RATE, "65s", UP, counter("500", "_x11 3 6 9 12 15"))
    assert got == pytest.approx({"500": 9 / 15}), "three samples: 3 that made it, and 6 more"


def test_a_target_that_was_not_scraped_before_brings_no_burst(tmp_path: Path) -> None:
    new = {"series": 'up{job="shop",instance="a"}', "values": "_x11 1x30"}
    got = evaluated(tmp_path, RATE, "65s", new, counter("200", "_x11 90000+10x30"))
    assert got == pytest.approx({"200": 2.0}, rel=0.5)


def test_a_target_that_was_away_brings_no_burst(tmp_path: Path) -> None:
    back = {"series": 'up{job="shop",instance="a"}', "values": "1 1 0x9 1x30"}
    got = evaluated(tmp_path, RATE, "65s", back, counter("200", "0 10 stale _x8 90000+10x30"))
    assert got == pytest.approx({"200": 2.0}, rel=0.5)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_is_one_that_prometheus_understands(tmp_path: Path, name: str) -> None:
    assert evaluated(tmp_path, _asked(QUERIES[name], 15), "60s", UP) is not None
