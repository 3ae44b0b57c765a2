"""Serving a file as if its time were now: the embedded store, and a Prometheus of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import urllib3
from flask import Flask

from dashcam.archive import importing
from dashcam.console import parameters
from dashcam.console.settings import ConsoleSettings
from dashcam.export.contents import BadArchive, Contents
from dashcam.sources import Sources, connect
from dashcam.stack.needs import PROMETHEUS
from dashcam.stack.ports import LOOPBACK, free_port
from dashcam.stack.programs import MissingProgram
from dashcam.store import query
from observability.settings import from_environ

REMEMBERED, LEAST = 2.2, 2.0
"""How many intervals a series is remembered after its last sample, and seconds at least.

An exported series has no mark where it ended: Prometheus would give its last value for five minutes.
"""
START_SECONDS, STOP_SECONDS = 60.0, 10.0


@dataclass(frozen=True)
class Opened:
    """A file that is served: what is in it, the sources that answer from it, and the query application."""

    contents: Contents
    settings: ConsoleSettings
    sources: Sources
    app: Flask


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Serve a file, or a folder that was imported to, until the block ends; its last moment is now meanwhile.

    Raises BadArchive or MissingProgram.
    """
    with contextlib.ExitStack() as stack:
        folder = path
        if path.is_dir():
            contents = importing.unpacked(path)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dashcam-open-"))) / "file"
            contents = importing.unpack(path, folder)
        prometheus = stack.enter_context(_prometheus(folder, contents))
        app = query.create_app(importing.settings_of(folder))
        settings = from_environ(ConsoleSettings, {}, prometheus_url=prometheus)
        sources = connect(settings, here=app.wsgi_app)
        sources.metrics.latest = contents.end
        stack.enter_context(parameters.standing_at(int(contents.end * 1e6)))
        yield Opened(contents, settings, sources, app)


@contextmanager
def _prometheus(folder: Path, contents: Contents) -> Iterator[str]:
    """A Prometheus over the file's blocks, which scrapes nothing; its address."""
    binary = PROMETHEUS.path()
    if binary is None:
        raise MissingProgram(f"prometheus is not installed: it serves the metrics. {PROMETHEUS.elsewhere}")
    data, configuration = importing.blocks(folder), folder / "prometheus.yml"
    try:
        data.mkdir(exist_ok=True)
        configuration.write_text("global: {}\n")
    except OSError as error:
        raise BadArchive(f"{folder} cannot be served: {error}") from error
    port = free_port()
    remembered = max(LEAST, REMEMBERED * contents.interval)
    guard = (sys.executable, "-m", "dashcam.stack.guarded_program", "--listen", f"{LOOPBACK}:{port}", "--")
    options = (
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--query.lookback-delta={remembered * 1000:.0f}ms",
        "--web.cors.origin=^$",
    )
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen((*guard, binary, *options), stdout=output, stderr=output)  # noqa: S603
    try:
        address = f"http://{LOOPBACK}:{port}"
        _wait(process, f"{address}/-/ready", log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    http, deadline = urllib3.PoolManager(retries=False, timeout=2.0), time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if http.request("GET", address).status == 200:
                return
        time.sleep(0.1)
    raise MissingProgram(f"Prometheus does not start: {log.read_text(errors='replace')[-500:]}")
