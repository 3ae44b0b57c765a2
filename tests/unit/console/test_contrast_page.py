"""What do the bad ones share? The page names it with its counts, for any choice of traces."""

from __future__ import annotations

import re
from typing import Any

import pytest
import recorded
from recorded import Recorded
from unit.console.conftest import text_of


def trace(number: int, *, bad: bool) -> dict[str, Any]:
    """A request of a customer; the bad ones are acme's."""
    trace_id = f"{number:032x}"
    failed: dict[str, Any] = {"error": True} if bad else {}
    span = recorded.span(
        "a",
        None,
        "GET /cars",
        "p1",
        number * 1000,
        9000 if bad else 1000 + number,
        trace=trace_id,
        span__kind="server",
        app__customer="acme" if bad else f"c{number % 3}",
        **failed,
    )
    return {"traceID": trace_id, "spans": [span], "processes": recorded.processes(p1="car")}


TRACES = [trace(number, bad=number < 10) for number in range(40)]


@pytest.fixture
def opened(open_console: Any) -> Any:
    answers = recorded.jaeger_answers() | {
        "/api/traces": {"data": TRACES, "total": len(TRACES), "errors": None},
        f"/api/traces/{39:032x}": {"data": [TRACES[39]], "total": 1, "errors": None},
    }
    return open_console(jaeger=Recorded(answers))


def test_what_the_failed_share_is_named_with_counts_and_a_search_for_it(opened: Any, markup: Any) -> None:
    page = opened.get("/contrast?service=car&by=failed").text
    text = text_of(page)
    assert "10 traces against 30 others of car" in text
    assert re.search(r"app.customer = acme .*10 of 10 .*0 of 30 .*under 0.1%", text)
    assert "tags=app.customer%3Dacme" in page
    assert markup(page).complaints() == []
    assert len(page) < 300_000


def test_the_slow_are_the_slowest_quarter(opened: Any) -> None:
    assert "app.customer = acme" in text_of(opened.get("/contrast?service=car&by=slow").text)


def test_any_chosen_traces_are_held_against_the_others(opened: Any) -> None:
    ids = "&".join(f"id={number:032x}" for number in range(4))
    text = text_of(opened.get(f"/contrast?service=car&{ids}").text)
    assert "4 traces against 36 others" in text
    assert "app.customer = acme" in text


def test_what_cannot_be_told_is_said(opened: Any) -> None:
    text = text_of(opened.get(f"/contrast?service=car&id={1:032x}").text)
    assert "Too few to tell: 1 of these, 39 others." in text
    ids = "&".join(f"id={number:032x}" for number in range(12, 40, 4))
    assert "Nothing that they say tells them from the others." in text_of(opened.get(f"/contrast?{ids}").text)


@pytest.mark.parametrize("query", ["by=nothing", "id=zz", "&".join(f"id={n:032x}" for n in range(101))])
def test_what_cannot_be_asked_is_a_400_that_says_why(opened: Any, query: str) -> None:
    assert opened.get(f"/contrast?{query}").status_code == 400


def test_the_search_leads_there_with_what_is_chosen(console: Any) -> None:
    page = console.get("/search?service=car&lookback=2h").text
    assert 'formaction="/contrast"' in page
    assert 'name="lookback" value="2h"' in page
