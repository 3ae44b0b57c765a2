"""A program of one's own, as `dashcam run` starts it: its name, its command, its environment.

Only variables that OpenTelemetry specifies are set, and a few of the usual ones, so that any SDK in any
language finds the stack. What a person has set wins, but for where the telemetry goes and the name asked for.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dashcam.stack.programs import url
from dashcam.stack.settings import Settings
from dashcam.stack.state import ENVIRONMENT

LIBRARY = "dashcam_observability-*.dist-info"
"""What shows that an environment has our own library, which instruments without help."""

_USUAL = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    # Its output is kept already; the same lines over OTLP would be there twice.
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_TRACES_SAMPLER": "parentbased_always_on",
    # Milliseconds: what one has just done is to be seen now.
    "OTEL_METRIC_EXPORT_INTERVAL": "2000",
    "OTEL_BSP_SCHEDULE_DELAY": "1000",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    # The stock Python instrumentation writes the trace's id into plain lines.
    "OTEL_PYTHON_LOG_CORRELATION": "true",
    "OTEL_PYTHON_EXCLUDED_URLS": "/metrics$",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class OwnProgram:
    """What to start. `instance` tells this start from the ones before; `note` says how it is instrumented."""

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    instance: str
    note: str


def prepared(
    command: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    *,
    name: str = "",
    port: int | None = None,
    instrument: bool | None = None,
    folder: Path | None = None,
) -> OwnProgram:
    """The program of `command`, called `name`, else OTEL_SERVICE_NAME, else like `folder` (the current one).

    `instrument` None puts a Python program under `opentelemetry-instrument` where its environment has that
    and not our own library; true and false decide it.
    """
    chosen = name or environ.get("OTEL_SERVICE_NAME", "") or (folder or Path.cwd()).name
    called = re.sub(r"[^A-Za-z0-9._-]+", "-", chosen).strip("-.") or "program"
    instance = f"{called}-{uuid.uuid4().hex[:8]}"
    words, note = _instrumented(tuple(command), environ, instrument)
    own = {
        "OTEL_SERVICE_NAME": called,
        "OTEL_EXPORTER_OTLP_ENDPOINT": url(settings.otlp_http_port),
        "OTEL_RESOURCE_ATTRIBUTES": _attributes(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""), instance),
    }
    given = {"PORT": str(port)} if port else {}
    kept = {key: value for key, value in environ.items() if not key.startswith("OTEL_EXPORTER_OTLP_")}
    usual = {key: value for key, value in _USUAL.items() if not kept.get(key)}
    return OwnProgram(called, words, {**kept, **usual, **given, **own}, instance, note)


def _attributes(given: str, instance: str) -> str:
    """The attributes of a person, then ours where they say nothing of it."""
    pairs = [pair for pair in given.split(",") if "=" in pair]
    named = {pair.partition("=")[0].strip() for pair in pairs}
    ours = {"service.instance.id": instance, ENVIRONMENT: "local"}
    return ",".join([*pairs, *(f"{key}={value}" for key, value in ours.items() if key not in named)])


def _instrumented(
    command: tuple[str, ...], environ: Mapping[str, str], instrument: bool | None
) -> tuple[tuple[str, ...], str]:
    found = shutil.which(command[0], path=environ.get("PATH"))
    program = Path(found) if found else None
    if instrument is False or program is None or not _is_python(program):
        return command, ""
    agent = program.parent / "opentelemetry-instrument"
    if program.name == agent.name:
        return command, ""
    if not agent.exists():
        return command, (
            "its Python has no opentelemetry-instrument, so traces and metrics are what it sends by itself; "
            "for Flask: pip install opentelemetry-distro[otlp] opentelemetry-instrumentation-flask"
        )
    if instrument is None and any(program.parent.parent.glob(f"lib/python*/site-packages/{LIBRARY}")):
        return command, "it has Dashcam's library and instruments itself (--instrument does it all the same)"
    return (str(agent), *command), "instrumented by opentelemetry-instrument of its environment"


def _is_python(program: Path) -> bool:
    """An interpreter, or a script that one runs, such as flask or gunicorn."""
    if re.fullmatch(r"python[\d.]*", program.name):
        return True
    try:
        with program.open("rb") as file:
            first = file.readline(400)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first
