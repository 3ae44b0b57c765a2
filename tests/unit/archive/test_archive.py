"""A time's telemetry as a file: what goes in comes out, and diagnosis, commands and pages work on it."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import recorded
from click.testing import CliRunner

from benchmarks.rca.case import Case
from benchmarks.rca.memory import sources as remembered
from dashcam.archive import importing
from dashcam.archive.opening import Opened, opened
from dashcam.cli.main import main
from dashcam.console import parameters
from dashcam.diagnose import recording
from dashcam.diagnose.verdict import diagnose
from dashcam.export import exporting, openmetrics, otlp_lines
from dashcam.export.contents import LOGS, MANIFEST, METRICS, TRACES, BadArchive, read
from dashcam.sources import LogLine, LogPage, LogQuery, Series, SourceError, Sources, TraceQuery

RECORDED = Path(__file__).parents[1] / "diagnose" / "nezha" / "return-ts-food-service.json.gz"
DASHCAM = Path(sys.executable).with_name("dashcam")
LINES = LogQuery(start=0, end=2_000_000)
CULPRIT = "ts-food-service"
GATEWAY = "ts-gateway-service"
"""Has a span in every trace."""


@pytest.fixture(scope="module")
def original() -> tuple[Sources, float, float]:
    """Sources over a recorded fault, and the time that it covers, with the time before."""
    seen = recording.read(RECORDED)
    traces = [*seen.past, *seen.before, *seen.during]
    case = Case("", "", "", seen.start, seen.end, 0.0, traces, list(seen.said), seen.series)
    return remembered(case), min(one.start for one in traces) / 1e6, seen.end


@pytest.fixture(scope="module")
def exported(original: tuple[Sources, float, float], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "incident.zip"
    exporting.export(original[0], path, *original[1:])
    return path


@pytest.fixture(scope="module")
def found(exported: Path) -> Iterator[Opened]:
    with opened(exported) as one:
        yield one


def everything(sources: Sources, start: float, end: float) -> dict[str, Any]:
    """All that can be asked of these sources about a time, as plain values."""
    times = int(start * 1e6), int(end * 1e6) + 1
    spans = {
        (span.trace_id[-16:], span.span_id[-16:]): (span.service, span.operation, span.start, span.duration)
        for one in sources.traces.search(TraceQuery(GATEWAY, *times, limit=1500))
        for span in one.spans
    }
    lines = sources.logs.search(LogQuery(start=times[0], end=times[1], limit=5000)).lines
    said = sorted((line.time, line.service, line.severity, line.message) for line in lines)
    return {"services": sources.traces.services(), "spans": spans, "lines": said}


def test_spans_and_lines_come_out_as_they_went_in(
    original: tuple[Sources, float, float], found: Opened
) -> None:
    sources, start, end = original
    before, after = everything(sources, start, end), everything(found.sources, start, end)
    assert after["services"] == before["services"]
    assert len(after["spans"]) == len(before["spans"]) > 1000
    assert sorted(after["spans"].values()) == sorted(before["spans"].values())
    assert after["lines"] == before["lines"]


def test_metrics_come_out_as_they_went_in(original: tuple[Sources, float, float], found: Opened) -> None:
    sources, start, end = original
    name = "process_resident_memory_bytes"
    assert found.sources.metrics.label_values("__name__") == sources.metrics.label_values("__name__")

    def points(one: Sources) -> dict[str, list[tuple[float, float]]]:
        every = one.metrics.samples(f'{{__name__="{name}"}}', start, end)
        return {each.labels["instance"]: [(round(t, 3), v) for t, v in each.points] for each in every}

    assert points(found.sources) == points(sources) != {}


def test_the_diagnosis_of_the_file_is_that_of_the_source(
    original: tuple[Sources, float, float], found: Opened
) -> None:
    seen = recording.read(RECORDED)
    first = diagnose(original[0], seen.start, seen.end).causes[0]
    again = diagnose(found.sources, seen.start, seen.end).causes[0]
    assert (again.kind, again.service) == (first.kind, first.service) == ("new log line", CULPRIT)


def test_what_a_file_says_of_itself_is_so(exported: Path, original: tuple[Sources, float, float]) -> None:
    contents = read(exported)
    assert CULPRIT in contents.services
    with zipfile.ZipFile(exported) as archive:
        spans = [
            span
            for line in archive.read(TRACES).splitlines()
            for resource in orjson.loads(line)["resourceSpans"]
            for scope in resource["scopeSpans"]
            for span in scope["spans"]
        ]
        assert contents.spans == len(spans) == len({(one["traceId"], one["spanId"]) for one in spans})
        lines = [orjson.loads(line)["resourceLogs"] for line in archive.read(LOGS).splitlines()]
        assert contents.lines == sum(
            len(scope["logRecords"]) for each in lines for one in each for scope in one["scopeLogs"]
        )
        metrics = archive.read(METRICS).decode()
        assert contents.samples == sum(not line.startswith("#") for line in metrics.splitlines())
        assert metrics.endswith("# EOF\n")


# -- the commands and the pages --------------------------------------------------------------------


def ran(*arguments: str) -> tuple[int, str]:
    answer = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return answer.exit_code, answer.output


def test_a_command_reads_the_file_as_if_its_time_were_now(exported: Path) -> None:
    before = parameters.now()
    status, said = ran("--file", str(exported), "diagnose", "--since", "3m", "--json")
    assert status == 1, said
    assert json.loads(said)["causes"][0]["service"] == CULPRIT
    assert 0 <= parameters.now() - before < 3600e6, "the present is not back"


def test_what_was_imported_to_a_folder_is_read_like_the_file(exported: Path, tmp_path: Path) -> None:
    folder = str(tmp_path / "incident")
    assert ran("import", str(exported), "--into", folder)[0] == 0
    assert ran("import", str(exported), "--into", folder) == (
        1,
        f"Error: {folder} is not empty: give a folder of its own for what is imported\n",
    )
    status, said = ran("--file", folder, "traces", "--json", "--service", CULPRIT, "--since", "1h")
    assert status == 0
    assert json.loads(said)["traces"]
    assert "FoodServiceImpl" in ran("--file", folder, "logs", "--service", CULPRIT)[1]


def test_an_opened_file_has_its_pages_until_it_is_told_to_end(exported: Path) -> None:
    command = [str(DASHCAM), "open", str(exported)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as served:
        try:
            assert served.stdout is not None
            address = next(line for line in served.stdout if line.startswith("http")).split()[0]
            page = httpx.get(f"{address}/search", params={"service": CULPRIT, "lookback": "1h"}, timeout=30)
            assert page.status_code == 200
            assert "/trace/" in page.text
            assert httpx.get(address, headers={"host": "rebound.example"}).status_code == 421
        finally:
            served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0


# -- what is odd -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "manifest", [None, b"{}", b"[]", b'{"format": "dashcam-export", "version": 99}', b'{"format": "other"}']
)
def test_a_file_that_is_no_export_is_told(tmp_path: Path, manifest: bytes | None) -> None:
    path = tmp_path / "odd.zip"
    path.write_text("no zip at all")
    if manifest is not None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(MANIFEST, manifest)
    with pytest.raises(BadArchive, match=r"odd\.zip"):
        importing.unpack(path, tmp_path / "into")


def test_a_damaged_message_is_told_and_the_folder_is_not_taken_for_whole(
    exported: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(exported) as good, zipfile.ZipFile(broken, "w") as archive:
        for name in good.namelist():
            archive.writestr(name, b'{"odd": 1}\n' if name == TRACES else good.read(name))
    with pytest.raises(BadArchive, match="resourceSpans"):
        importing.unpack(broken, tmp_path / "into")
    with pytest.raises(BadArchive, match="no folder that was imported to"):
        importing.unpacked(tmp_path / "into")


def test_without_any_source_there_is_no_file(tmp_path: Path) -> None:
    nowhere = recorded.sources(recorded.Away(), recorded.Away(), recorded.Away())
    with pytest.raises(SourceError, match="nothing answers there"):
        exporting.export(nowhere, tmp_path / "x.zip", 0.0, 1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("traces", "traces: Jaeger: nothing answers there"),
        ("logs", "log lines: Log search: nothing answers there"),
        ("metrics", "metrics: Prometheus: nothing answers there"),
    ],
)
def test_a_source_that_is_away_is_named_in_a_file_with_what_the_others_have(
    original: tuple[Sources, float, float], tmp_path: Path, source: str, missing: str
) -> None:
    sources, start, end = original
    away = recorded.sources(recorded.Away(), recorded.Away(), recorded.Away())
    part = replace(sources, **{source: getattr(away, source)})
    exporting.export(part, tmp_path / "x.zip", start, end)
    told = CliRunner().invoke(main, ["import", str(tmp_path / "x.zip"), "--into", str(tmp_path / "read")])
    assert f"not whole: {missing}" in told.output
    contents = read(tmp_path / "x.zip")
    counts = {"traces": contents.spans, "logs": contents.lines, "metrics": contents.samples}
    assert contents.cut[0] == missing
    assert {name for name, count in counts.items() if not count} == {source}


class Logs:
    """A log search that gives no more than a page, newest first, as all of them do."""

    def __init__(self, times: list[int]) -> None:
        stamps = (datetime.fromtimestamp(at / 1e6, UTC).isoformat() for at in sorted(times, reverse=True))
        self.lines = [
            LogLine({"timestamp": at, "message": str(n), "service": "a"}) for n, at in enumerate(stamps)
        ]

    def search(self, query: LogQuery) -> LogPage:
        found = [one for one in self.lines if (query.start or 0) <= one.time <= (query.end or 0)]
        return LogPage(found[: query.limit], len(found))


def test_more_lines_than_a_search_gives_are_all_written_also_where_pages_meet_at_one_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    logs = Logs([1_000_000 + n // 4 for n in range(95)])
    counts = exporting._Counts()
    pages = exporting._pages(Sources(None, None, logs), LINES, counts)  # type: ignore[arg-type]
    written = [line.message for page in pages for line in page]
    assert sorted(written, key=int) == [str(n) for n in range(95)]
    assert counts.cut == []


def test_lines_that_no_search_gives_are_told_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    counts = exporting._Counts()
    logs = Logs([1_000_000] * 25)
    list(exporting._pages(Sources(None, None, logs), LINES, counts))  # type: ignore[arg-type]
    assert counts.cut == ["log lines: more than 10 at one time"]


def test_traces_beyond_what_a_search_gives_are_asked_for_in_halves(
    monkeypatch: pytest.MonkeyPatch, original: tuple[Sources, float, float]
) -> None:
    monkeypatch.setattr(exporting, "MOST_TRACES", 20)
    sources, start, end = original
    counts, service = exporting._Counts(), GATEWAY
    parts = exporting._resources(sources, service, int(start * 1e6), int(end * 1e6), counts)
    ids = {span["traceId"] for one in parts for scope in one["scopeSpans"] for span in scope["spans"]}
    every = sources.traces.search(TraceQuery(service, int(start * 1e6), int(end * 1e6), limit=10_000))
    assert len(ids) == len(every) > 20
    assert counts.cut == []


def test_values_of_every_kind_become_otlps() -> None:
    assert otlp_lines.attribute_value(True) == {"boolValue": True}
    assert otlp_lines.attribute_value(2**70) == {"stringValue": str(2**70)}
    nested = otlp_lines.attribute_value({"a": [1, 0.5, None, "x"]})
    assert nested["kvlistValue"]["values"][0]["value"]["arrayValue"]["values"] == [
        {"intValue": "1"},
        {"doubleValue": 0.5},
        {},
        {"stringValue": "x"},
    ]


def test_labels_and_numbers_are_written_as_openmetrics_says() -> None:
    labels = {"__name__": "up", "path": 'a"b\\c\nd'}
    values = (1.0, float("inf"), float("-inf"), float("nan"))
    one = Series(labels, tuple(zip(itertools.count(1.5), values, strict=False)))
    assert list(openmetrics.family("up", [one])) == [
        "# TYPE up unknown\n",
        'up{path="a\\"b\\\\c\\nd"} 1.0 1.500\n',
        'up{path="a\\"b\\\\c\\nd"} +Inf 2.500\n',
        'up{path="a\\"b\\\\c\\nd"} -Inf 3.500\n',
        'up{path="a\\"b\\\\c\\nd"} NaN 4.500\n',
    ]
