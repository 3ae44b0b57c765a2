"""The recorded expositions say where they are from, and hold all that panels and rules ask of a cluster."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruleset import ROOT, alerts

from dashboards.src import promql
from dashboards.src.third_party import COMPONENTS

FOLDER = ROOT / "dashboards" / "tests" / "expositions"
PAGES = sorted(FOLDER.glob("*.prom"))
NOT_RECORDED: dict[str, str] = {}
"""Pages that were written after a documentation, with the reason."""
CERT_MANAGER = "certmanager_certificate_expiration_timestamp_seconds"
"""Of an operator that a cluster may or may not have; blackbox_exporter's metric serves the same alert."""

CUT_OFF = {
    "container_memory_rss",
    "container_oom_events_total",
    "kubelet_volume_stats_inodes",
    "kubelet_volume_stats_inodes_free",
}
"""Of cAdvisor and the kubelet, by their documentation; they were cut off when the pages were recorded."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def _names(page: Path) -> set[str]:
    return set(re.findall(r"^([a-zA-Z_:][\w:]*)[{ ]", page.read_text(), re.MULTILINE))


@pages
def test_a_page_says_which_program_it_is_from_how_it_was_run_and_what_was_cut(page: Path) -> None:
    head = " ".join(line[2:] for line in page.read_text().splitlines() if re.match("# (?!TYPE)", line))
    if page.stem in NOT_RECORDED:
        assert head.startswith("Not recorded: ")
    else:
        assert re.match(r"Recorded on \d{4}-\d\d-\d\d from .+ \d+\.\d+\.\d+.* Run: .+ Cut: .+", head), head


def test_what_is_not_recorded_is_listed_here_and_in_the_readme() -> None:
    unrecorded = {page.stem for page in PAGES if page.read_text().startswith("# Not recorded")}
    assert unrecorded == set(NOT_RECORDED)
    readme = (FOLDER / "README.md").read_text()
    assert all(f"`{page.stem}.prom`" in readme for page in PAGES)


@pages
def test_a_page_stays_small_and_tells_nothing_of_the_machine(page: Path) -> None:
    text = page.read_text()
    assert len(text) < 40_000
    assert "/tmp/" not in text
    assert "/root/" not in text


def test_every_metric_of_a_cluster_that_panels_and_rules_may_name_is_in_a_page() -> None:
    there = set().union(*map(_names, PAGES))
    listed = {name for component in COMPONENTS if not component.local for name in component.names}
    assert listed - there == {CERT_MANAGER, *CUT_OFF}


def test_an_alert_on_a_cluster_looks_only_at_what_is_in_a_page() -> None:
    there = set().union(*map(_names, PAGES)) | {CERT_MANAGER, *CUT_OFF, "up"}
    looked_at = {alert["alert"]: promql.metrics(alert["expr"]) for alert in alerts()}
    missing = {
        name: metrics - there
        for name, metrics in looked_at.items()
        if any(promql.needs_cluster(metric) for metric in metrics) and metrics - there
    }
    assert missing == {}
