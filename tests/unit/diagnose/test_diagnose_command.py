"""`dashcam diagnose` where sources are away or empty, and for one trace."""

from __future__ import annotations

import json
from typing import Any

import pytest
import recorded
from click.testing import CliRunner

from dashcam.cli import diagnose as command
from dashcam.cli.diagnose import diagnose
from dashcam.diagnose import report, single_trace, verdict
from dashcam.diagnose.findings import HARM, Cause, Diagnosis, Evidence, Step, Symptom
from dashcam.diagnose.selection import narrowed

AWAY = ("--jaeger-url", "http://127.0.0.1:9", "--prometheus-url", "http://127.0.0.1:9")


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(diagnose, arguments)
    return done.exit_code, done.output


def test_sources_that_are_away_are_said_first_and_nothing_is_called_well() -> None:
    status, said = run(*AWAY)
    assert status == 3
    assert said.index("THE TELEMETRY IS NOT WHOLE") < said.index("Prometheus at http://127.0.0.1:9")
    assert "Nothing is wrong" not in said
    assert "ruled out" not in said


def test_the_answer_is_json_for_programs() -> None:
    status, said = run(*AWAY, "--json")
    answer = json.loads(said)
    assert status == 3
    assert answer["healthy"] is False
    assert {gap["service"] for gap in answer["telemetry"]} >= {"Prometheus", "Jaeger", "Log search"}


def test_a_time_that_is_none_is_told() -> None:
    status, said = run("--since", "yesterday")
    assert status == 2
    assert "yesterday" in said


def test_a_system_without_any_metrics_is_not_healthy() -> None:
    empty = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    alerts = {"status": "success", "data": {"alerts": []}}
    metrics = recorded.Recorded({"/api/v1/query_range": empty, "/api/v1/alerts": alerts})
    found = verdict.diagnose(recorded.sources(prometheus=metrics), 0.0, 600.0)
    assert not found.healthy


@pytest.fixture
def found() -> Diagnosis:
    evidence = Evidence("metrics", "up", "one", "dashcam metrics up")
    causes = [
        Cause("slow", service, "GET /", f"{service} is slow", HARM, 1.0, evidence=(evidence,))
        for service in ("shop", "bank")
    ]
    symptom = Symptom("shop", "GET /", "is slow", Step(1.0, None, 0.1, 1.0), evidence)
    return Diagnosis(0.0, 60.0, ("bank", "shop"), (), (symptom,), tuple(causes), (), ())


def test_a_service_that_suffers_keeps_the_causes_elsewhere(found: Diagnosis) -> None:
    assert [cause.service for cause in narrowed(found, "shop").causes] == ["shop", "bank"]


def test_a_service_that_does_not_suffer_has_only_its_own_causes(found: Diagnosis) -> None:
    assert [cause.service for cause in narrowed(found, "bank").causes] == ["bank"]


def test_control_characters_of_telemetry_do_not_reach_the_terminal(found: Diagnosis) -> None:
    import dataclasses

    bad = dataclasses.replace(found.causes[0], summary="slow \x1b[2J")
    assert "\x1b" not in report.text(dataclasses.replace(found, causes=(bad,)))


def test_one_trace_is_explained_by_where_it_failed_and_what_it_waited_for() -> None:
    trace: Any = recorded.sources().traces.trace(recorded.TRACE)
    answer = single_trace.explain(trace, [])
    assert answer["waited_for"]
    assert sum(one["seconds"] for one in answer["waited_for"]) <= trace.duration / 1e6 + 1e-6
    assert "took" in single_trace.text(answer)


def test_a_firing_alert_that_nobody_knows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashcam.cli.session.connect", lambda settings: recorded.sources())
    status, said = run("--alert", "NoSuchAlert")
    assert status == 2
    assert "NoSuchAlert" in said
    assert command.MARGIN > 0
