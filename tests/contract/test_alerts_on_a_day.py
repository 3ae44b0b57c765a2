"""A day for every alert: what is ordinary fires nothing, and what may fire has its reason in its runbook."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from ruleset import RUNBOOKS, alerts, recorded

from dashboards.src import promql
from dashboards.tests.day.count import firings
from dashboards.tests.day.scenarios import DAYS, Day


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS.keys())
def test_an_alert_fires_no_more_often_on_a_day_than_is_said_of_it(day: Day, tmp_path: Path) -> None:
    counted = firings(day.series(), tmp_path, day.rules)
    assert {name: n for name, n in counted.items() if n > day.may_fire.get(name, 0)} == {}


ONLY_WHEN_IT_IS_SO = {
    "kube_job_failed": "kube-state-metrics has it of Jobs that failed alone",
    "log_records_lost_total": "it begins with the first line that is lost",
}
"""Metrics that an ordinary day has not, with the reason."""

LOSSES = {
    "alertmanager_notifications_failed_total",
    *(f"fluentbit_output_{each}_total" for each in ("dropped_records", "retries_failed")),
    *(f"otelcol_exporter_{each}_spans_total" for each in ("enqueue_failed", "send_failed")),
    "container_oom_events_total",
    "dashcam_circuit_open",
    "dashcam_dependency_up",
    "dashcam_store_failures_total",
    "elasticsearch_thread_pool_rejected_count",
    "fluentbit_input_storage_overlimit",
    "messaging_dead_letters_total",
    "otelcol_receiver_refused_spans_total",
    "prometheus_rule_evaluation_failures_total",
}
"""What stays as it is while nothing is lost and nothing is away."""

FIXED = {
    *(f"kube_pod_container_status_{each}_reason" for each in ("last_terminated", "waiting")),
    *(f"kubelet_volume_stats_{each}" for each in ("capacity_bytes", "inodes")),
    *(f"node_filesystem_{each}" for each in ("files", "size_bytes")),
    "dashcam_build_info",
    "dashcam_server_threads",
    "kube_daemonset_status_desired_number_scheduled",
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "kube_pod_container_resource_limits",
    "kube_statefulset_replicas",
    "otel_sdk_processor_span_queue_capacity",
    "otelcol_exporter_queue_capacity",
}
"""Sizes, limits and what is wanted; and states, of which the labels say all."""


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS.keys())
def test_every_alert_has_on_each_day_what_it_looks_at(day: Day) -> None:
    """An alert on metrics that a day has not is quiet whatever its threshold."""
    there = {each["series"].partition("{")[0] for each in day.series()} | recorded() | {"ALERTS"}
    missing = {alert["alert"]: promql.metrics(alert["expr"]) - there for alert in alerts()}
    assert set().union(*missing.values()) == set(ONLY_WHEN_IT_IS_SO), missing


def test_all_that_ordinary_traffic_moves_is_moved_on_some_day() -> None:
    """An alert that is quiet about a flat line says nothing of its threshold."""
    still: dict[str, set[str]] = {}
    for day in DAYS.values():
        for each in day.series():
            values = set(each["values"].split()) - {"_"}
            still.setdefault(each["series"].partition("{")[0], set()).update(values)
    assert {name for name, values in still.items() if len(values) == 1} == LOSSES | FIXED


def test_hours_of_failures_are_noticed(tmp_path: Path) -> None:
    """If promtool counted nothing whatever came, every other day would pass."""
    day = DAYS["at-the-limit"]
    failing = tuple(replace(instance, failing=0.05) for instance in day.instances)
    counted = firings(replace(day, instances=failing).series(), tmp_path, day.rules, minutes=4 * 60)
    assert counted["AvailabilityBurnFast"] == 1, "one trouble, one page"


@pytest.mark.parametrize("alert", sorted({name for day in DAYS.values() for name in day.may_fire}))
def test_what_may_fire_on_a_day_has_its_reason_in_its_runbook(alert: str) -> None:
    assert "Known firings: " in (RUNBOOKS / f"{alert}.md").read_text()
