"""The embedded backend answers what the real Jaeger answers, for any traces, but for a written list."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration import answers
from integration.otlpcases import Made, batches
from integration.twobackends import Both, both
from realprograms import record_jaeger
from verifying import Recorder

from dashcam.store import values

pytestmark = [
    pytest.mark.takes(40),
    pytest.mark.verifies(
        component="Jaeger",
        claim="gives the answers that the embedded backend gives, to every query of its API, for any traces; "
        "what differs is listed in docs/backend.md",
    ),
]

BACKEND_PAGE = Path(__file__).parents[2] / "docs" / "backend.md"
NOW = time.time_ns() // 1_000_000_000 * 1_000_000_000
MARGIN = 10_000_000_000
BATCHES = itertools.count(1)
WINDOW = {"start": (NOW - MARGIN) // 1000, "end": (NOW + MARGIN) // 1000, "limit": 100}
ANY = {
    "deadline": None,
    # The same examples in every run: no seed to note down, and no database of failures to lose.
    "derandomize": True,
    "database": None,
    "suppress_health_check": [
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
}


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[Both]:
    with both(tmp_path_factory.mktemp("both"), record_jaeger(ran)) as started:
        yield started


def sent(backends: Both, data: st.DataObject) -> tuple[int, Made]:
    """A batch that both have taken in, and its number."""
    number = next(BATCHES)
    made = data.draw(batches(number, NOW))
    for body in made.bodies:
        backends.send(body)
    return number, made


def same(backends: Both, path: str, view: Any = answers.canonical, **params: Any) -> Any:
    """Ask both; the statuses and what `view` sees are equal. Answers the latter."""
    (status, real), (own_status, own) = backends.ask(path, params)
    assert (own_status, view(own)) == (status, view(real)), (path, params)
    return view(own)


@settings(max_examples=25, **ANY)
@given(data=st.data())
def test_a_trace_by_its_id_is_the_same(backends: Both, data: st.DataObject) -> None:
    _, made = sent(backends, data)
    for trace in made.traces:
        same(backends, f"/api/traces/{trace.hex()}")
        same(backends, f"/api/traces/{trace.hex()}", raw="true")
        same(backends, f"/api/v3/traces/{trace.hex()}", raw_traces="true")
        # Warnings of skewed clocks are in this one, word for word.
        same(backends, f"/api/v3/traces/{trace.hex()}")
    several = [made.traces[0].hex(), made.traces[-1].hex(), "ff" * 16]
    same(backends, "/api/traces", traceID=several)


@settings(max_examples=20, **ANY)
@given(data=st.data())
def test_services_and_operations_are_the_same(backends: Both, data: st.DataObject) -> None:
    number, made = sent(backends, data)

    def mine(answer: Any) -> list[str]:
        return sorted(
            name for name in answer.get("data") or answer["services"] if name.endswith(f"-{number}")
        )

    assert same(backends, "/api/services", mine) == same(backends, "/api/v3/services", mine)
    for service in made.services:
        same(backends, f"/api/services/{service}/operations", answers.operations)
        for kind in ("", "server", "client", "internal"):
            asked = {"spanKind": kind} if kind else {}
            same(backends, "/api/operations", answers.operations, service=service, **asked)
            asked = {"span_kind": kind} if kind else {}
            same(backends, "/api/v3/operations", answers.operations, service=service, **asked)


@settings(max_examples=20, **ANY)
@given(data=st.data())
def test_a_search_finds_the_same_traces(backends: Both, data: st.DataObject) -> None:
    _, made = sent(backends, data)
    service = data.draw(st.sampled_from(made.services))
    searches: list[dict[str, Any]] = [
        {},
        {"minDuration": "1ms"},
        {"maxDuration": "1ms"},
        {"minDuration": "1us", "maxDuration": "20ms"},
        {"operation": "SELECT"},
        {"operation": "größe"},
        # No span starts within the last microsecond (CHOSEN).
        {"start": NOW // 1000, "end": NOW // 1000 + 1_999_999},
    ]
    for search in searches:
        same(backends, "/api/traces", answers.trace_ids, **(WINDOW | {"service": service} | search))
    tags = [
        {"host.name": "h2"},
        {"host.name": "h1", "n": "5"},
        *({key: text} for key, text in tags_of(made)[:25]),
    ]
    for wanted in tags:
        asked = WINDOW | {"service": service, "tags": json.dumps(wanted)}
        (status, real), (own_status, own) = backends.ask("/api/traces", asked)
        assert own_status == status == 200, asked
        more = set(answers.trace_ids(own)) - set(answers.trace_ids(real))
        assert set(answers.trace_ids(real)) <= set(answers.trace_ids(own)), asked
        assert more <= set().union(*(linked(made, *tag) for tag in wanted.items())), asked
    for extra in ({}, {"query.duration_min": "1ms"}, {"query.operation_name": "SELECT"}):
        same(backends, "/api/v3/traces", answers.trace_ids, **(window_v3(service) | extra))


@settings(max_examples=15, **ANY)
@given(data=st.data())
def test_dependencies_are_the_same(backends: Both, data: st.DataObject) -> None:
    number, _ = sent(backends, data)

    def mine(answer: Any) -> dict[tuple[str, str], int]:
        calls = answers.dependencies(answer)
        return {pair: n for pair, n in calls.items() if any(name.endswith(f"-{number}") for name in pair)}

    same(backends, "/api/dependencies", mine, endTs=(NOW + MARGIN) // 1_000_000, lookback=60_000)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/api/traces", {}),
        ("/api/traces", {"service": "x", "limit": "x"}),
        ("/api/traces", {"service": "x", "start": "x"}),
        ("/api/traces", {"service": "x", "minDuration": "x"}),
        ("/api/traces", {"service": "x", "minDuration": "5ms", "maxDuration": "1ms"}),
        ("/api/traces", {"service": "x", "tag": "novalue"}),
        ("/api/traces", {"service": "nobody"}),
        ("/api/traces/" + "0" * 31 + "1", {}),
        ("/api/services/nobody/operations", {}),
        ("/api/operations", {}),
        ("/api/operations", {"service": "nobody"}),
        ("/api/dependencies", {"endTs": "x"}),
        ("/api/v3/operations", {"service": "nobody"}),
        ("/api/v3/traces", {}),
        ("/api/v3/traces/zz", {}),
        ("/api/v3/traces/" + "0" * 31 + "1", {}),
    ],
)
def test_what_is_wrong_or_unknown_has_the_same_status_and_shape(
    backends: Both, path: str, params: dict[str, str]
) -> None:
    (status, real), (own_status, own) = backends.ask(path, params)
    assert own_status == status
    assert shape(own) == shape(real)


def test_the_page_about_the_backend_lists_every_difference_that_is_set_aside() -> None:
    page = " ".join(BACKEND_PAGE.read_text().split())
    set_aside = [*answers.NEWER.values(), *answers.CHOSEN.values()]
    missing = [text for text in set_aside if " ".join(text.split()) not in page]
    assert not missing, f"docs/backend.md does not have: {missing}"


DRAW = """
import hashlib
{loaded}
from hypothesis import given, settings, strategies as st
from integration.test_jaeger_answers import ANY, batches
drawn = hashlib.sha256()
@settings(max_examples=5, **ANY)
@given(data=st.data())
def draw(data):
    for body in data.draw(batches(1, 10**18)).bodies:
        drawn.update(body)
draw()
print(drawn.hexdigest())
"""
LOADED = "import dashcam.console, dashcam.cli.main, dashcam.cli.diagnose, services.car.app"


def test_the_examples_are_the_same_whatever_modules_are_loaded() -> None:
    """Hypothesis would draw constants from those modules, and another set of tests have other examples."""
    root = BACKEND_PAGE.parents[1]
    told = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    alone, among_others = (
        subprocess.run(
            [sys.executable, "-c", DRAW.format(loaded=loaded)],
            env=told,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for loaded in ("", LOADED)
    )
    assert alone == among_others != ""


def tags_of(made: Made) -> list[tuple[str, str]]:
    """Keys and texts of attributes of spans, scopes, resources and events, each once, in their order."""
    holders: list[Any] = []
    for resource in made.request.resource_spans:
        holders.append(resource.resource)
        for scope in resource.scope_spans:
            holders.append(scope.scope)
            for span in scope.spans:
                holders += [span, *span.events]
    found = [(item.key, values.text(item.value)) for holder in holders for item in holder.attributes]
    return list(dict.fromkeys(tag for tag in found if tag[0] != "service.name"))


def linked(made: Made, key: str, text: str) -> set[str]:
    """The traces with a link that has the tag: 2.13 does not look there."""
    return {
        span.trace_id.hex()
        for span in made.spans
        for link in span.links
        if (value := values.find(link.attributes, key)) is not None and values.text(value) == text
    }


def window_v3(service: str) -> dict[str, Any]:
    """The search of a service over all the time that batches have."""

    def moment(nanoseconds: int) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanoseconds // 1_000_000_000))

    return {
        "query.service_name": service,
        "query.start_time_min": moment(NOW - MARGIN),
        "query.start_time_max": moment(NOW + MARGIN),
        "query.num_traces": 100,
    }


def shape(answer: Any) -> Any:
    """An answer without the words of its messages, which quote what each program's language says."""
    if isinstance(answer, dict):
        return {key: "…" if key in ("msg", "message") else shape(value) for key, value in answer.items()}
    return [shape(value) for value in answer] if isinstance(answer, list) else answer
