"""The log search of the console and of the command line, over the lines in a real Elasticsearch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from exampleservices import LAST, QUOTE
from integration.search.conftest import deliver, password, through_fluent_bit
from integration.search.test_log_pipeline import REFUSED
from polling import until
from search_server.server import authorization
from search_server.services import Written

from dashcam.console import ConsoleSettings, create_app
from dashcam.model.logs import SEVERITIES, LogLine
from dashcam.sources import LogQuery, connect

COMPONENT = "Elasticsearch"
MOST = 5000
DASHCAM = str(Path(sys.executable).with_name("dashcam"))


@pytest.fixture(scope="module")
def settings(ready, shipped) -> ConsoleSettings:
    """Grafana's user reads here: it may read, and nothing else."""
    return ConsoleSettings(
        logs_kind="elasticsearch",
        logs_url=ready.url,
        logs_authorization=authorization("grafana", password("grafana")),
        source_timeout=30.0,
    )


@pytest.fixture(scope="module")
def logs(settings):
    return connect(settings).logs


@pytest.fixture(scope="module")
def kept(shipped) -> list[LogLine]:
    """The lines of the services as a reader must find them."""
    sources = [each.source for each in shipped.documents]
    return [LogLine(source) for source in sources if source["message"] not in REFUSED and "service" in source]


def keys(lines) -> Counter:
    """What tells lines apart, however they were fetched."""
    return Counter((line.fields["timestamp"], line.service, line.message) for line in lines)


@pytest.mark.parametrize("trace", ["page", "exception", "away", "unavailable"])
@pytest.mark.verifies(
    component=COMPONENT, claim="gives the console all lines of a trace, of every service in it"
)
def test_a_trace_has_all_its_lines(logs, kept, shipped, trace):
    wanted = [line for line in kept if line.trace_id == shipped.traces[trace]]
    assert wanted
    page = logs.search(LogQuery(trace_id=shipped.traces[trace], limit=MOST))
    assert keys(page.lines) == keys(wanted)
    assert page.total == len(wanted)
    if trace == "page":
        assert {line.service for line in page.lines} == {*QUOTE}


@pytest.mark.verifies(component=COMPONENT, claim="answers with each field of a line as it was written")
def test_a_line_comes_back_field_by_field(logs, kept, shipped):
    (wanted,) = (
        line
        for line in kept
        if line.trace_id == shipped.traces["exception"] and "exception.type" in line.fields
    )
    query = LogQuery(trace_id=shipped.traces["exception"], limit=MOST)
    (line,) = (line for line in logs.search(query).lines if "exception.type" in line.fields)
    ours = {name: value for name, value in wanted.fields.items() if name not in ("@timestamp", "kubernetes")}
    assert ours.items() <= line.fields.items()
    assert line.time == wanted.time


@pytest.mark.parametrize("level", SEVERITIES)
@pytest.mark.parametrize("service", ["", "car"])
@pytest.mark.verifies(component=COMPONENT, claim="finds lines by service and least severity")
def test_level_is_the_least_severity(logs, kept, level, service):
    severe = SEVERITIES[SEVERITIES.index(level) :]
    wanted = [line for line in kept if line.severity in severe and service in ("", line.service)]
    page = logs.search(LogQuery(level=level, service=service, limit=MOST))
    assert keys(page.lines) == keys(wanted)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("cannot borrow across the segment", 1),
        ("Cannot Borrow", 1),
        ("no such table", 1),
        ("größe", 1),
        ("there is no such text", 0),
        ('"quoted" (and) [more] * ? :', 0),
        ("a:b AND *", 0),
    ],
)
@pytest.mark.verifies(component=COMPONENT, claim="finds lines by words of their message or exception")
def test_text_is_found_in_messages_and_exceptions(logs, text, least):
    lines = logs.search(LogQuery(text=text, limit=MOST)).lines
    assert len(lines) >= least
    for line in lines:
        assert text.lower() in json.dumps(dict(line.fields), ensure_ascii=False).lower()
    assert bool(lines) == bool(least)


@pytest.mark.parametrize(
    "fields",
    [
        {"http.response.status_code": "503"},
        {"http.route": "/cars/<string:maker>/<string:model>/quote"},
        {"http.request.method": "GET", "http.response.status_code": "404"},
        {"exception.type": "RuntimeError"},
        {"nobody.wrote": "this"},
    ],
)
@pytest.mark.verifies(component=COMPONENT, claim="finds lines by the values of fields")
def test_fields_are_matched_exactly(logs, kept, fields):
    wanted = [
        line for line in kept if all(str(line.fields.get(name)) == value for name, value in fields.items())
    ]
    assert keys(logs.search(LogQuery(fields=fields, limit=MOST)).lines) == keys(wanted)


@pytest.mark.verifies(component=COMPONENT, claim="finds exactly the lines of a span of time")
def test_both_ends_of_a_time_belong_to_it(logs, kept):
    times = sorted(line.time for line in kept)
    for start, end in (
        (times[10], times[60]),
        (times[0], times[-1]),
        (times[20], times[20]),
        (times[-1] + 1000, None),
    ):
        wanted = [
            line
            for line in kept
            # Elasticsearch is asked in milliseconds.
            if start // 1000 <= line.time // 1000 and (end is None or line.time // 1000 <= end // 1000)
        ]
        page = logs.search(LogQuery(start=start, end=end, limit=MOST))
        assert keys(page.lines) == keys(wanted)


@pytest.mark.verifies(component=COMPONENT, claim="gives pages newest first, which lose and double nothing")
def test_pages_newest_first_lose_nothing(logs, kept):
    seen: set = set()
    query = LogQuery(service="car", limit=20)
    last = None
    while True:
        page = logs.search(query)
        times = [line.time for line in page.lines]
        assert times == sorted(times, reverse=True)
        seen |= set(keys(page.lines))
        if times[-1] == last or len(page.lines) < query.limit:
            break
        last = times[-1]
        query = replace(query, end=last)
    assert seen == set(keys(line for line in kept if line.service == "car"))


@pytest.mark.verifies(component=COMPONENT, claim="counts lines over time by severity as they were written")
def test_the_histogram_counts_every_line_once(logs, kept):
    times = sorted(line.time for line in kept)
    query = LogQuery(start=times[0] // 1000 * 1000, end=times[-1] + 1000)
    buckets = logs.histogram(query, 30)
    assert len(buckets) == 30
    for bucket in buckets:
        inside = [line for line in kept if bucket.start <= line.time < bucket.start + bucket.width]
        assert bucket.counts == Counter(line.severity for line in inside)
    assert sum(bucket.total for bucket in buckets) == len(kept)


def fresh(message: str) -> Written:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = {"timestamp": now, "severity": "INFO", "message": message, "service": "live"}
    return Written("car", "stdout", json.dumps(line))


@pytest.mark.verifies(component=COMPONENT, claim="brings a follower each new line once, late ones too")
def test_a_follower_gets_each_new_line_once(ready, logs):
    early = fresh("written early, delivered late")
    deliver(ready, through_fluent_bit([fresh("there before")]))
    follower = logs.follow(LogQuery(service="live", limit=10))
    assert [line.message for line in follower.poll()] == ["there before"]
    assert follower.poll() == []
    deliver(ready, through_fluent_bit([fresh(f"new {n}") for n in range(30)]))
    assert [line.message for line in follower.poll()] == [f"new {n}" for n in range(30)]
    deliver(ready, through_fluent_bit([early]))
    assert [line.message for line in follower.poll()] == ["written early, delivered late"]
    assert follower.poll() == []


def environ(settings: ConsoleSettings) -> dict[str, str]:
    assert settings.logs_url
    assert settings.logs_authorization
    return {
        "PATH": os.environ["PATH"],
        "LOGS_KIND": "elasticsearch",
        "LOGS_URL": settings.logs_url,
        "ELASTICSEARCH_AUTHORIZATION": settings.logs_authorization,
        "SOURCE_TIMEOUT": "30",
    }


@pytest.mark.verifies(component=COMPONENT, claim="is searched by `dashcam logs --trace`")
def test_the_command_line_prints_the_lines_of_a_trace(settings, kept, shipped):
    trace = shipped.traces["exception"]
    wanted = [line for line in kept if line.trace_id == trace]
    command = [DASHCAM, "logs", "--trace", trace, "--json"]
    done = subprocess.run(command, env=environ(settings), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    printed = [LogLine(fields) for fields in answer["logs"]]
    assert answer["total"] == len(wanted)
    assert keys(printed) == keys(wanted)
    times = [line.time for line in printed]
    assert times == sorted(times)


@pytest.mark.verifies(component=COMPONENT, claim="is followed live by `dashcam logs --follow`")
def test_the_command_line_follows(ready, settings, tmp_path):
    output = tmp_path / "followed"
    command = [DASHCAM, "logs", "--service", "live", "--follow", "--json"]
    with output.open("wb") as out:
        following = subprocess.Popen(command, env=environ(settings), stdout=out)
    try:
        deliver(ready, through_fluent_bit([fresh("before the follower looked")]))
        until(lambda: "before the follower looked" in output.read_text(), "the lines so far", within=60)
        deliver(ready, through_fluent_bit([fresh("seen while following")]))
        until(lambda: "seen while following" in output.read_text(), "the new line", within=30)
    finally:
        following.terminate()
        following.wait(20)
    messages = [json.loads(row)["message"] for row in output.read_text().splitlines()]
    assert len(messages) == len(set(messages))


@pytest.mark.verifies(component=COMPONENT, claim="is searched by the console's page of a trace's lines")
def test_the_console_shows_the_lines_of_a_trace(settings, kept, shipped):
    trace = shipped.traces["away"]
    client = create_app(settings).test_client()
    answer = client.get("/logs", query_string={"trace_id": trace, "limit": "100"})
    assert answer.status_code == 200
    page = answer.get_data(as_text=True)
    for line in kept:
        if line.trace_id == trace and line.message.startswith("no quote"):
            assert f"no quote: {LAST.name} cannot be reached" in page
            break
    else:
        raise AssertionError("no line of this trace says why there was no quote")


@pytest.mark.verifies(component=COMPONENT, claim="says to a reader without rights what is wrong")
def test_a_reader_without_rights_is_told(settings):
    refused = replace(settings, logs_authorization=authorization("grafana", "guessed-wrong"))
    answer = create_app(refused).test_client().get("/logs")
    assert "401" in answer.get_data(as_text=True)
