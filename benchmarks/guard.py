"""`python -m benchmarks.guard`: fails when the overhead of a request grows by a quarter, on any machine.

Time depends on what else the machine does; the number of instructions does not. The same requests are
answered in one process by the bare application and by the instrumented one, each under valgrind's
callgrind, which counts instructions once the application is warm: those of the request and those of the
export. What is compared is the overhead, instrumented less bare, as a share of bare, with the one that
was recorded in guard.json for this version of Python; `--record` records it.

Of two runs the lower one counts, for what differs comes on top: a new connection for the export, a collection
of garbage. Two results of the same code differ by about a twentieth of the overhead.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from benchmarks.loss import Sink
from benchmarks.overhead.inprocess import ENVIRON, call
from benchmarks.overhead.variants import named
from benchmarks.servers.application import create_app
from observability.http import speedups

REQUESTS = 300
WARM = 100
"""Requests before counting begins, in which caches fill and code is specialised."""

VARIANTS = ("Dashcam", "Dashcam, 1 %", "Dashcam, pure Python")
RUNS = 2
GROWTH = 1.25
BASELINE = Path(__file__).with_name("guard.json")
WITHIN = 600.0
"""Seconds after which a run is given up: valgrind makes fifty of one."""


def answer(variant: str) -> None:
    """The child: warm up, and answer when it is told to; each step is a line on the real stdout."""
    report = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.environ["GUARD_LINES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    app = named(variant).build(create_app())
    random.seed(1)  # the same requests are sampled in every run: one export more is a tenth of the overhead
    telemetry = app.extensions.get("observability")

    def requests(number: int) -> None:
        for _ in range(number):
            call(app.wsgi_app, {**ENVIRON, "wsgi.input": io.BytesIO()})
        if telemetry is not None and not telemetry.force_flush(WITHIN):
            raise RuntimeError("the spans could not be exported")

    requests(WARM)
    print("warm", file=report, flush=True)
    sys.stdin.readline()
    requests(REQUESTS)
    print("done", file=report, flush=True)
    sys.stdin.readline()
    os._exit(0)  # callgrind has its count; what Python does at its end is nobody's overhead


def instructions(variant: str, sink: Sink, look: Callable[[Path], None] = lambda counted: None) -> float:
    """Instructions that one request of `variant` takes; `look` is shown callgrind's file."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder) / "counted"
        environ = {
            **os.environ,
            **named(variant).environ,
            "PYTHONHASHSEED": "0",
            "GUARD_LINES": str(Path(folder) / "lines"),
            "LOG_FORMAT": "json",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url,
            # One export, when it is asked for: how many fall into a slow run is the machine's mood.
            "OTEL_BSP_SCHEDULE_DELAY": "600000",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(2 * REQUESTS),
            "DASHCAM_TRACES_SLOW": "3600",  # under valgrind every request is slow, on a busy machine
        }
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={counted}"]
        command += [sys.executable, "-m", "benchmarks.guard", "--answer", variant]
        with subprocess.Popen(  # noqa: S603 # this module under valgrind
            command,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                _expect(child, "warm")
                _instrument(child.pid, "on")
                _tell(child.stdin)
                _expect(child, "done")
                _instrument(child.pid, "off")
                _tell(child.stdin)
                child.wait(WITHIN)
            finally:
                child.kill()
        look(counted)
        totals = re.search(r"^totals: (\d+)$", counted.read_text(), re.MULTILINE)
        if totals is None:
            raise RuntimeError("callgrind has counted nothing")
        return int(totals[1]) / REQUESTS


def _expect(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdout is not None
    if child.stdout.readline().strip() != word:
        child.kill()
        assert child.stderr is not None
        raise RuntimeError(f"the application ended before it was {word}:\n{child.stderr.read()[-2000:]}")


def _tell(stdin: IO[str] | None) -> None:
    assert stdin is not None
    stdin.write("go on\n")
    stdin.flush()


def _instrument(process: int, mode: str) -> None:
    subprocess.run(  # noqa: S603 # valgrind's own control program
        ["callgrind_control", "-i", mode, str(process)],  # noqa: S607
        check=True,
        timeout=WITHIN,
        capture_output=True,
    )


def measure() -> dict[str, float]:
    """The overhead of each variant as a share of the bare application's instructions."""
    sink = Sink()
    try:
        bare = _lowest("bare", sink)
        print(f"{'bare':20} {bare:11,.0f} instructions a request", flush=True)
        overheads = {}
        for variant in VARIANTS:
            found = _lowest(variant, sink)
            overheads[variant] = found / bare - 1
            print(
                f"{variant:20} {found:11,.0f} instructions a request, {overheads[variant]:+.1%}", flush=True
            )
    finally:
        sink.close()
    return overheads


def require_current() -> None:
    """End where the compiled request path is not that of the sources that are measured."""
    if not speedups.available():
        sys.exit("the compiled request path is missing or older than its source: make compiled")


def _lowest(variant: str, sink: Sink) -> float:
    return min(instructions(variant, sink) for _ in range(RUNS))


def verdict(overheads: dict[str, float], recorded: dict[str, float]) -> list[str]:
    """A sentence for each variant of which the overhead has grown by a quarter, or was never recorded."""
    complaints = []
    for variant, overhead in overheads.items():
        known = recorded.get(variant)
        if known is None:
            complaints.append(f"{variant}: no overhead is recorded for it: make bench-guard-record")
        elif overhead > known * GROWTH:
            complaints.append(
                f"{variant}: the overhead of a request is {overhead:.1%} of the bare application's "
                f"instructions, {overhead / known - 1:.0%} more than the {known:.1%} that is recorded. Make "
                "it cheaper; or, where it is worth that, record it (make bench-guard-record) and say why"
            )
    return complaints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--record", action="store_true", help="into guard.json")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        answer(options.answer)
        return
    if shutil.which("valgrind") is None:
        sys.exit("make bench-guard needs valgrind (Debian: apt-get install valgrind)")
    require_current()
    version = ".".join(platform.python_version_tuple()[:2])
    recorded = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    overheads = measure()
    if options.record:
        recorded[version] = {variant: round(overhead, 4) for variant, overhead in overheads.items()}
        BASELINE.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
        print(f"recorded for Python {version} in {BASELINE.name}")
    elif complaints := verdict(overheads, recorded.get(version, {})):
        sys.exit("\n".join(complaints))


if __name__ == "__main__":
    main()
