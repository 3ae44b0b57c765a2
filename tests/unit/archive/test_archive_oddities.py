"""Exports and imports where something is amiss: half answers, damaged files, names and disks in the way."""

from __future__ import annotations

import dataclasses
import errno
import re
import struct
import subprocess
import zipfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from dashcam.archive import importing
from dashcam.cli import archive as commands
from dashcam.cli.main import main
from dashcam.export import contents, exporting, openmetrics
from dashcam.export.contents import LOGS, MANIFEST, METRICS, TRACES, BadArchive, Contents, as_json
from dashcam.export.selection import Part
from dashcam.sources import Jaeger, LogLine, LogPage, LogQuery, Series, Sources, TraceQuery
from dashcam.stack.programs import MissingProgram

LINES = LogQuery(start=0, end=2_000_000)
NOW = 1_700_000_000


def resource(*ids: int) -> dict[str, Any]:
    spans = [{"traceId": f"{one:032x}", "spanId": f"{one:016x}"} for one in ids]
    return {"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}


class Store:
    """A transport to a store that gives a few traces of a time only, and says so."""

    def __init__(self, times: list[int], room: int) -> None:
        self.times, self.room, self.asked = times, room, 0

    def send(self, source: str, path: str, params: Any, json: Any | None) -> tuple[int, bytes]:
        self.asked += 1
        start, end = (
            int(datetime.fromisoformat(f"{params[f'query.startTime{name}'][:26]}+00:00").timestamp() * 1e6)
            for name in ("Min", "Max")
        )
        mine = [number for number, at in enumerate(self.times) if start <= at <= end]
        body: dict[str, Any] = {"result": {"resourceSpans": [resource(*mine[: self.room])]}}
        if len(mine) > self.room:
            body["incomplete"] = True
        return 200, orjson.dumps(body)


def taken(store: Store) -> tuple[set[str], list[str]]:
    counts = exporting._Counts()
    sources = Sources(Jaeger(store, "http://jaeger"), None, None)  # type: ignore[arg-type]
    parts = exporting._resources(sources, "a", 0, 60_000_000, counts)
    ids = {span["traceId"] for one in parts for scope in one["scopeSpans"] for span in scope["spans"]}
    return ids, counts.cut


def test_a_time_of_which_the_store_says_that_it_gave_not_all_is_asked_for_in_halves() -> None:
    ids, cut = taken(Store([n * 500_000 for n in range(100)], room=3))
    assert len(ids) == 100
    assert cut == []


def test_traces_that_no_half_gives_are_told_as_missing_once() -> None:
    store = Store([1_000_000] * 30 + [40_000_000] * 30, room=3)
    ids, cut = taken(store)
    assert len(ids) == 6
    assert cut == ["traces of a: the store did not give all of those within 10 ms"]
    store = Store([1_000_000] * 30 + [40_000_000], room=1)
    ids, cut = taken(store)
    assert len(ids) == 2
    assert cut == ["traces of a: the store did not give all of those within 1000 ms"]
    assert store.asked < 30, "a trace too large for an answer is asked for over and over"


class Logs:
    """A log search as LogQuery says: both ends included, newest first, a page at most."""

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self.lines = [
            LogLine(
                {
                    "timestamp": datetime.fromtimestamp(at / 1e6, UTC).isoformat(),
                    "message": said,
                    "service": "a",
                }
            )
            for at, said in sorted(lines, reverse=True)
        ]

    def search(self, query: LogQuery) -> LogPage:
        found = [one for one in self.lines if (query.start or 0) <= one.time <= (query.end or 0)]
        return LogPage(found[: query.limit], len(found))


def written(lines: list[tuple[int, str]]) -> tuple[Counter[str], list[str]]:
    counts = exporting._Counts()
    pages = exporting._pages(Sources(None, None, Logs(lines)), LINES, counts)  # type: ignore[arg-type]
    return Counter(line.message for page in pages for line in page), counts.cut


def test_no_line_is_doubled_where_pages_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    lines = [(1_000_000 + n, str(n)) for n in range(95)]
    assert written(lines) == (Counter(said for _, said in lines), [])


def test_lines_that_were_written_twice_stay_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    lines = [(1_000_000 + n // 6, "again") for n in range(60)]
    assert written(lines) == (Counter({"again": 60}), [])


def test_a_time_with_more_lines_than_a_page_does_not_cost_the_lines_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    found, cut = written([(1_000_000, "flood")] * 25 + [(900_000, "before")])
    assert found == Counter({"flood": 10, "before": 1})
    assert cut == ["log lines: more than 10 at one time"]


def test_a_search_that_stopped_counting_at_a_full_page_is_asked_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    search = Logs.search

    def counted(self: Logs, query: LogQuery) -> LogPage:
        page = search(self, query)
        return LogPage(page.lines, len(page.lines), exact=page.total == len(page.lines))

    monkeypatch.setattr(Logs, "search", counted)
    lines = [(1_000_000 + n, str(n)) for n in range(30)]
    assert written(lines) == (Counter(said for _, said in lines), [])
    monkeypatch.setattr(Logs, "search", lambda *_: LogPage([], 0, exact=False))
    assert written(lines) == (Counter(), ["log lines: the search gave up before it had seen all of them"])


def test_a_search_of_whole_milliseconds_gives_each_line_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 10)
    search = Logs.search

    def coarse(self: Logs, query: LogQuery) -> LogPage:
        return search(self, dataclasses.replace(query, end=(query.end or 0) // 1000 * 1000 + 999))

    monkeypatch.setattr(Logs, "search", coarse)
    lines = [(1_000_000 + n * 130, str(n)) for n in range(95)]
    assert written(lines) == (Counter(said for _, said in lines), [])
    found, cut = written([(1_000_000 + n, "flood") for n in range(25)] + [(900_000, "before")])
    assert found == Counter({"flood": 10, "before": 1})
    assert cut == ["log lines: more than 10 at one time"]


def test_a_large_resource_is_written_as_lines_that_a_store_takes_one_by_one(tmp_path: Path) -> None:
    class Many(Nothing):
        def services(self) -> list[str]:
            return ["a"]

        def otlp_search(self, query: TraceQuery) -> list[dict[str, Any]]:
            return [resource(*range(1, 1201))] if query.service == "a" else []

    counts, path = exporting._Counts(), tmp_path / "traces"
    with path.open("wb") as file:
        sources = Sources(Many(), None, None)  # type: ignore[arg-type]
        found = exporting._found(sources, None, 0, 0.005, counts)
        exporting._traces(exporting._File(file, Part(None)), found, counts)
    lines = [orjson.loads(line)["resourceSpans"] for line in path.read_bytes().splitlines()]
    sizes = [len(scope["spans"]) for each in lines for one in each for scope in one["scopeSpans"]]
    assert sizes == [500, 500, 200]
    assert counts.spans == 1200


# -- import ----------------------------------------------------------------------------------------


def made(
    path: Path, traces: bytes = b"", logs: bytes = b"", metrics: bytes = b"# EOF\n", **fields: Any
) -> Path:
    manifest = Contents(NOW, NOW + 60, ("a",), 1, 0, fields.pop("samples", 0), 15.0)
    raw = orjson.dumps({**orjson.loads(as_json(manifest)), **fields})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in ((TRACES, traces), (LOGS, logs), (METRICS, metrics), (MANIFEST, raw)):
            archive.writestr(name, text)
    return path


GOOD = (
    orjson.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]},
                    "scopeSpans": [
                        {
                            "spans": [
                                {
                                    "traceId": "1" * 32,
                                    "spanId": "1" * 16,
                                    "name": "x",
                                    "startTimeUnixNano": str(NOW * 10**9),
                                    "endTimeUnixNano": str(NOW * 10**9 + 1),
                                }
                            ]
                        }
                    ],
                }
            ]
        }
    )
    + b"\n"
)


def flipped(path: Path) -> Path:
    """A byte of the packed traces is another."""
    raw = bytearray(path.read_bytes())
    name = struct.unpack_from("<H", raw, 26)[0] + struct.unpack_from("<H", raw, 28)[0]
    raw[30 + name : 30 + name + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)
    return path


def altered(path: Path, local: int, central: int, value: int) -> Path:
    """A field of the first member's two headers has another value."""
    raw = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        struct.pack_into("<H", raw, raw.index(mark) + place, value)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("damage", ["line", "flipped", "encrypted", "method", "objects", "shape"])
def test_a_damaged_file_is_named_and_leaves_nothing_that_blocks_the_next_import(
    tmp_path: Path, damage: str, existed: bool
) -> None:
    traces = {
        "line": GOOD + b"{odd\n",
        "objects": b'{"resourceSpans":[' + b"{}," * 300_000 + b"{}]}\n",
        "shape": b'{"resourceSpans": 5}\n',
    }
    path = made(tmp_path / "bad.zip", traces.get(damage, GOOD))
    if damage == "flipped":
        flipped(path)
    if damage == "encrypted":
        altered(path, 6, 8, 1)
    if damage == "method":
        altered(path, 8, 10, 97)
    folder = tmp_path / "some" / "into"
    if existed:
        folder.mkdir(parents=True)
    with pytest.raises(BadArchive, match=r"bad\.zip"):
        importing.unpack(path, folder)
    assert list(folder.iterdir()) == [] if existed else not folder.parent.exists()
    importing.unpack(made(tmp_path / "good.zip", GOOD), folder)


def test_what_the_store_says_against_a_file_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashcam.store.sqlite_file import StoreError

    def refuse(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(importing, "Writer", refuse)
    with pytest.raises(BadArchive, match=r"x\.zip.*the disk is full"):
        importing.unpack(made(tmp_path / "x.zip", GOOD), tmp_path / "into")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = made(tmp_path / "x.zip", GOOD)
    monkeypatch.setattr(Path, "mkdir", refuse)
    answer = CliRunner().invoke(main, ["import", str(path), "--into", str(tmp_path / "into")])
    assert answer.exit_code == 1
    assert answer.output == f"Error: {tmp_path / 'into'} cannot be made: Permission denied\n"


def test_promtool_is_looked_for_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = made(tmp_path / "x.zip", GOOD, samples=1)
    with pytest.raises(MissingProgram):
        importing.unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_metrics_that_promtool_cannot_read_are_told_with_the_file(tmp_path: Path) -> None:
    path = made(tmp_path / "odd.zip", GOOD, metrics=b"what is this\n", samples=1)
    with pytest.raises(BadArchive, match=r"odd\.zip.*promtool"):
        importing.unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_metrics_that_unpack_to_more_than_the_disk_may_give_are_refused_before_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "METRICS_BYTES", 2**20)
    path = made(tmp_path / "bomb.zip", GOOD, metrics=b"# HELP a " + b"x" * 3 * 2**20, samples=1)
    with pytest.raises(BadArchive, match=r"bomb\.zip.*3 MiB unpacked; at most 1 MiB .* a shorter time"):
        importing.unpack(path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"start": "yesterday"},
        {"end": None},
        {"end": 1e300},
        {"spans": "many"},
        {"samples": [1]},
        {"services": [1]},
        {"services": "a"},
        {"cut": {"a": 1}},
        {"interval": 0},
        {"interval": True},
        {"made_by": 3},
    ],
)
def test_a_manifest_with_other_types_is_told(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(BadArchive, match=r"x\.zip"):
        contents.read(made(tmp_path / "x.zip", **fields))


def test_messages_that_hold_nothing_are_passed_over(tmp_path: Path) -> None:
    empty = b'{"resourceSpans":[]}\n'
    traces = empty + empty + GOOD + b'{"resourceSpans":null}\n' + empty
    assert importing.unpack(made(tmp_path / "x.zip", traces), tmp_path / "into").spans == 1


def test_a_line_or_manifest_that_goes_on_and_on_is_not_taken_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadArchive, match=r"x\.zip.*1 MB"):
        contents.read(made(tmp_path / "x.zip", made_by="x" * 1_100_000))
    monkeypatch.setattr(importing, "LINE_BYTES", 5000)
    path = made(tmp_path / "y.zip", b" " * 6000 + GOOD)
    with pytest.raises(BadArchive, match=r"y\.zip.*5000 bytes"):
        importing.unpack(path, tmp_path / "into")


# -- where it is written, and where it listens -----------------------------------------------------


class Nothing:
    """Sources with nothing in them, or a disk that is full while they are asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def services(self) -> list[str]:
        if self.error:
            raise self.error
        return []

    def search(self, query: LogQuery) -> LogPage:
        return LogPage([], 0)

    def label_values(self, label: str) -> list[str]:
        return []


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, error: Exception | None = None) -> tuple[int, str]:
    sources = SimpleNamespace(traces=Nothing(error), logs=Nothing(), metrics=Nothing())
    monkeypatch.setattr("dashcam.cli.session.connect", lambda _: sources)
    answer = CliRunner().invoke(main, ["export", *arguments], catch_exceptions=False)
    return answer.exit_code, answer.output


def test_a_file_that_is_there_is_written_over_only_when_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notes.zip"
    path.write_text("mine")
    (tmp_path / "notes.zip.part").write_text("mine too")
    status, said = run(monkeypatch, str(path))
    assert (status, path.read_text()) == (1, "mine")
    assert said == f"Error: {path} is there already: give another name, or --force to write over it\n"
    assert run(monkeypatch, str(path), "--force")[0] == 0
    assert contents.read(path).spans == 0
    assert (tmp_path / "notes.zip.part").read_text() == "mine too"
    assert {one.name for one in tmp_path.iterdir()} == {"notes.zip", "notes.zip.part"}


def test_a_disk_or_folder_in_the_way_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "none" / "x.zip"
    assert run(monkeypatch, str(path)) == (
        1,
        f"Error: {path} cannot be written: No such file or directory\n",
    )
    path = tmp_path / "x.zip"
    full = OSError(errno.ENOSPC, "No space left on device")
    assert run(monkeypatch, str(path), error=full) == (
        1,
        f"Error: {path} cannot be written: No space left on device\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    from dashcam import console
    from dashcam.console.settings import ConsoleSettings

    found = SimpleNamespace(app=lambda *_: [], settings=ConsoleSettings(), sources=None)
    monkeypatch.setattr(commands, "opening", lambda _: nullcontext(found))
    monkeypatch.setattr(console, "register", lambda *_: None)

    def taken(*_: Any, **__: Any) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr("dashcam.store.http_server.HttpServer", taken)
    answer = CliRunner().invoke(main, ["open", "file", str(tmp_path), "--port", "4321"])
    assert answer.exit_code == 1
    assert answer.output == "Error: cannot listen on 127.0.0.1:4321: Address already in use\n"


# -- names of metrics ------------------------------------------------------------------------------

DOTTED = 'http.server "x"\\duration'


class Metrics:
    """A Prometheus 3 with names of every kind."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def label_values(self, label: str) -> list[str]:
        return [DOTTED, "up"]

    def samples(self, selector: str, start: float, end: float) -> list[Series]:
        self.asked.append(selector)
        if "up" not in selector:
            return [Series({"__name__": DOTTED, "service.name": "a", "job": "j"}, ((NOW, 1.0),))]
        return [
            Series({"__name__": "up", "job": "j"}, ((NOW, 1.0),)),
            Series({"__name__": "up", "service.name": "a"}, ((NOW, 1.0),)),
        ]


def text_of(tmp_path: Path, any_name: bool = False) -> tuple[str, exporting._Counts, Metrics]:
    counts, metrics, path = exporting._Counts(), Metrics(), tmp_path / "metrics.txt"
    with path.open("wb") as file:
        part = exporting._File(file, Part(None))
        sources = Sources(None, metrics, None)  # type: ignore[arg-type]
        exporting._metrics(part, sources, NOW - 1, NOW + 1, counts, any_name)
    return path.read_text(), counts, metrics


def test_metrics_that_promtool_does_not_read_are_left_out_and_named(tmp_path: Path) -> None:
    text, counts, metrics = text_of(tmp_path)
    assert metrics.asked[0] == '{__name__="http.server \\"x\\"\\\\duration"}'
    assert text == f'# TYPE up unknown\nup{{job="j"}} 1.0 {NOW}.000\n'
    assert counts.samples == 1
    assert counts.cut == [f"metrics with names or labels that promtool here does not read: {DOTTED}, up"]


def test_many_metrics_are_asked_for_at_once_and_the_fewer_the_longer_the_time(tmp_path: Path) -> None:
    class Many(Metrics):
        def label_values(self, label: str) -> list[str]:
            return [f"m{number}" for number in range(30)]

        def samples(self, selector: str, start: float, end: float) -> list[Series]:
            self.asked.append(selector)
            named = re.findall(r"m\d+", selector)
            return [Series({"__name__": name, "job": "j"}, ((NOW, 1.0),)) for name in named]

    for hours, questions in ((0.25, 2), (1, 3), (6, 30)):
        metrics, counts = Many(), exporting._Counts()
        with (tmp_path / "text").open("wb") as file:
            part, sources = exporting._File(file, Part(None)), Sources(None, metrics, None)  # type: ignore[arg-type]
            exporting._metrics(part, sources, NOW - 3600 * hours, NOW, counts, False)
        assert (len(metrics.asked), counts.samples) == (questions, 30)
        assert (tmp_path / "text").read_text().count("# TYPE m") == 30


def test_of_many_metrics_that_are_left_out_some_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "NAMED", 1)
    said = f"metrics with names or labels that promtool here does not read: {DOTTED} and 1 more"
    assert text_of(tmp_path)[1].cut == [said]


def test_metrics_of_any_name_are_quoted_where_promtool_reads_that(tmp_path: Path) -> None:
    text, counts, _ = text_of(tmp_path, any_name=True)
    quoted = '"http.server \\"x\\"\\\\duration"'
    assert text.splitlines() == [
        f"# TYPE {quoted} unknown",
        f'{{{quoted},job="j","service.name"="a"}} 1.0 {NOW}.000',
        "# TYPE up unknown",
        f'up{{job="j"}} 1.0 {NOW}.000',
        f'up{{"service.name"="a"}} 1.0 {NOW}.000',
    ]
    assert (counts.samples, counts.cut) == (3, [])


def test_what_promtool_here_is_said_to_read_it_reads(tmp_path: Path) -> None:
    from dashcam.archive import promtool

    said = promtool.reads_any_name()
    text = tmp_path / "text"
    text.write_text(
        "".join(openmetrics.family("a.b", [Series({"c.d": "e"}, ((NOW, 1.0),))])) + openmetrics.END
    )
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(tmp_path / "into")]
    assert said == (subprocess.run(command, capture_output=True).returncode == 0)
