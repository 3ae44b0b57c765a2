"""What a page shows as one file: only that, within bounds, by a form of this console alone."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import recorded
from backendkit import START, Request, Store, add_span
from flask.testing import FlaskClient

from dashcam.archive.importing import unpack
from dashcam.console import ConsoleSettings, register
from dashcam.console.kept import Kept, Pin
from dashcam.console.pages import download
from dashcam.export.contents import LOGS, METRICS, TRACES
from dashcam.export.selection import Bound
from dashcam.sources import connect
from dashcam.sources.switches import SwitchSettings

ONE, TWO, LONG = (bytes(15) + bytes([number]) for number in (1, 2, 3))
TIME = f"lookback=custom&start={START // 1000 - 60_000_000}&end={START // 1000 + 60_000_000}"
SAMPLES = [
    {"metric": {"__name__": "up", "job": "car"}, "values": [[START / 1e9, "1"], [START / 1e9 + 2, "0"]]}
]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[FlaskClient]:
    """A console over a real store with two traces, each with a line, one line of none, and a day's trace."""
    store = Store(tmp_path)
    request = Request()
    add_span(request.resource("car"), "GET /cars", trace=ONE)
    add_span(request.resource("web"), "GET /", trace=TWO, span=2, error=True)
    add_span(request.resource("car"), "a day", trace=LONG, span=3, start=-86_400, duration=86_400)
    store.spans(request)
    for number, (service, trace) in enumerate((("car", ONE), ("web", TWO), ("car", b""))):
        store.lines(
            {"message": f"line {number}", "service": service, "trace_id": trace.hex(), "severity": "INFO"}
        )
    prometheus = recorded.Recorded(
        recorded.prometheus_answers()
        | {
            "/api/v1/label/__name__/values": {"status": "success", "data": ["up"]},
            "/api/v1/query": {"status": "success", "data": {"resultType": "matrix", "result": SAMPLES}},
        }
    )
    settings, app = ConsoleSettings(), store.client.application
    here = connect(settings, here=app.wsgi_app)
    here = replace(here, metrics=recorded.sources(prometheus=prometheus).metrics)
    register(app, settings, here, SwitchSettings())
    yield store.client
    store.close()


def written(console: FlaskClient, address: str, **headers: str) -> Any:
    """The answer to the form of a download's page."""
    page = console.get(address).text
    action, token = (
        re.search(rf'{name}="([^"]+)"', page) for name in ('method="post" action', 'token" value')
    )
    assert action, page
    assert token
    return console.post(
        action[1].replace("&amp;", "&"), data={"token": token[1]}, headers=headers, buffered=True
    )


def parts(answer: Any) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def ids(text: str) -> set[str]:
    return set(re.findall(r'"traceId":"([0-9a-f]{32})"', text))


def said(text: str) -> set[str]:
    return set(re.findall(r'"stringValue":"(line \d)"', text))


CASES = {
    f"of=trace&trace={ONE.hex()}": ({ONE}, {"line 0"}),
    f"of=search&{TIME}": ({ONE, TWO}, {"line 0", "line 1"}),
    f"of=search&service=web&{TIME}": ({TWO}, {"line 1"}),
    f"of=search&service=car&errors=1&{TIME}": (set(), set()),
    f"of=logs&q=line&service=car&{TIME}": ({ONE}, {"line 0", "line 2"}),
    f"of=time&{TIME}": ({ONE, TWO}, {"line 0", "line 1", "line 2"}),
}


@pytest.mark.parametrize("asked", CASES)
def test_the_file_has_what_the_page_shows_and_the_metrics_of_its_time(
    console: FlaskClient, asked: str
) -> None:
    found = parts(written(console, f"/download?{asked}"))
    traces, lines = CASES[asked]
    assert ids(found[TRACES]) == {one.hex() for one in traces}
    assert said(found[LOGS]) == lines
    assert 'up{job="car"} 0.0' in found[METRICS]
    assert json.loads(found["manifest.json"])["cut"] == []


def test_the_file_is_one_that_is_opened(console: FlaskClient, tmp_path: Path) -> None:
    answer = written(console, f"/download?of=time&{TIME}")
    assert re.search(r'filename="?dashcam-\d{8}-\d{6}\.zip', answer.headers["Content-Disposition"])
    path = tmp_path / "file.zip"
    path.write_bytes(answer.data)
    contents = unpack(path, tmp_path / "opened")
    assert (contents.spans, contents.lines, contents.samples) == (2, 3, 2)
    assert contents.services == ("car", "web")


@pytest.mark.parametrize(
    ("page", "of"),
    [
        (f"/search?service=car&{TIME}", "search"),
        (f"/logs?q=line&{TIME}", "logs"),
        (f"/trace/{ONE.hex()}", "trace"),
        (f"/diagnose?{TIME}", "time"),
    ],
)
def test_each_page_has_a_link_that_leads_to_its_file(
    console: FlaskClient, markup: Any, page: str, of: str
) -> None:
    link = re.search(rf'href="(/download\?of={of}[^"]*)"', console.get(page).text)
    assert link
    offered = console.get(link[1].replace("&amp;", "&")).text
    assert "dashcam open dashcam-" in offered
    assert "100 MB or 20 s" in offered
    assert markup(offered).complaints() == []
    assert parts(written(console, link[1].replace("&amp;", "&")))


def test_what_is_beyond_the_bound_is_left_out_and_named(console: FlaskClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(download, "BOUND", Bound(bytes=1, seconds=60))
    found = parts(written(console, f"/download?of=time&{TIME}"))
    cut = json.loads(found["manifest.json"])["cut"]
    # All of the lines came in one answer of the source, which is written whole.
    assert cut == ["traces: more than go into 0 MB or 60 s"]
    assert len(ids(found[TRACES])) == 1


@pytest.mark.parametrize("more", ["endpoint=x", "_method=PUT", "_external=1", "_anchor=x", "q=%26of=trace"])
def test_whatever_else_the_address_says_the_form_leads_to_this_console(
    console: FlaskClient, more: str
) -> None:
    page = console.get(f"/download?{TIME}&{more}")
    assert page.status_code == 200
    assert 'action="/download?' in page.text
    assert parts(written(console, f"/download?{TIME}&{more}"))


def test_a_trace_however_long_comes_with_the_metrics_of_its_last_hours(console: FlaskClient) -> None:
    found = parts(written(console, f"/download?of=trace&trace={LONG.hex()}"))
    contents = json.loads(found["manifest.json"])
    assert ids(found[TRACES]) == {LONG.hex()}
    assert contents["end"] - contents["start"] <= download.LONGEST + 60


def test_of_a_trace_that_is_only_pinned_no_empty_file_is_offered(
    console: FlaskClient, tmp_path: Path
) -> None:
    app = console.application
    kept = Kept(tmp_path / "kept")
    body = console.get(f"/api/traces/{ONE.hex()}").data
    gone = "e" * 32
    kept.pin(Pin(gone, "a name", START // 1000), body.replace(ONE.hex().encode(), gone.encode()))
    app.extensions["dashcam_console"] = replace(app.extensions["dashcam_console"], kept=kept)
    assert console.get(f"/trace/{gone}").status_code == 200
    answer = console.get(f"/download?of=trace&trace={gone}")
    assert answer.status_code == 404


def test_nothing_is_written_for_another_page_and_one_file_at_a_time(console: FlaskClient) -> None:
    address = f"/download?of=trace&trace={ONE.hex()}"
    assert console.post(address).status_code == 403
    assert written(console, address, Origin="http://evil.example").status_code == 403
    assert written(console, address, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    with console.application.extensions["dashcam_console"].writing:
        assert written(console, address).status_code == 429
    assert written(console, address).status_code == 200


def test_what_cannot_be_in_a_file_is_refused_with_the_remedy(console: FlaskClient) -> None:
    answer = console.get("/download?lookback=7h")
    assert answer.status_code == 400
    assert "dashcam export --since" in answer.text
    assert console.get(f"/download?of=trace&trace={'f' * 32}").status_code == 404
