"""`/diagnose`: the form, an answer with its links, and sources that are away."""

from __future__ import annotations

import pytest
import recorded
from flask.testing import FlaskClient
from unit.diagnose.test_recorded import RECORDED

from dashcam.console import ConsoleSettings, create_app
from dashcam.diagnose import recording, verdict


@pytest.fixture
def page() -> FlaskClient:
    return create_app(ConsoleSettings(source_timeout=30), recorded.sources()).test_client()


def test_nothing_is_asked_before_the_form_is_sent(page: FlaskClient) -> None:
    answer = page.get("/diagnose")
    assert answer.status_code == 200
    assert "<form" in answer.text
    assert "Looked at" not in answer.text


def test_a_cause_is_shown_with_links_that_ask_again(
    page: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = verdict.judge(recording.read(RECORDED["minus-failing-for-some"]))
    monkeypatch.setattr(verdict, "diagnose", lambda *asked: found)
    text = page.get("/diagnose?lookback=15m").text
    assert "minus fails: GET /minus ends in RuntimeError, where y at least 1000" in text
    assert 'href="/trace/' in text
    assert 'href="/explore?expr=' in text
    assert 'href="/runbooks/AvailabilityBurnFast"' in text


def test_sources_that_are_away_are_said_and_nothing_is_called_well() -> None:
    away = recorded.sources(jaeger=recorded.Away(), prometheus=recorded.Away(), logs=recorded.Away())
    text = create_app(ConsoleSettings(), away).test_client().get("/diagnose?lookback=15m").text
    assert "The telemetry is not whole" in text
    assert "Nothing is wrong" not in text


def test_a_time_that_is_too_long_for_a_page_is_refused(page: FlaskClient) -> None:
    answer = page.get("/diagnose?lookback=24h")
    assert answer.status_code == 400
    assert "6h at most" in answer.text
