"""Programs of a dashcam.toml in the place of services of the catalogue: one rewritten, or several in one.

Such a program is a service like those it replaces: it listens on PORT, answers on
OTEL_EXPORTER_PROMETHEUS_PORT for its readiness and metrics, and finds the others by their variables. Both
ports are those of the first service that it replaces; who calls another of them is led there too. Prometheus
keeps a job for each, so that the same dashboards, objectives and alerts hold: of several in one process, a
request belongs to the service whose document has its route.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dashcam.registry import catalogue
from dashcam.stack import own_file
from dashcam.stack.own_file import BadFile, OwnService
from dashcam.stack.settings import Settings

_PATH = re.compile(r"^  (/\S*):$", re.MULTILINE)
"""A path of an OpenAPI document in YAML; parsing the whole takes a quarter of a second."""


def stand_ins(settings: Settings) -> Mapping[str, OwnService]:
    """The program for each service that is replaced. Raises BadFile for no service, or one replaced twice."""
    found: dict[str, OwnService] = {}
    for program in own_file.read_file(settings.own_file).programs if settings.own_file else ():
        for name in program.replaces:
            if name not in catalogue.load().names:
                there = ", ".join(catalogue.load().names)
                raise BadFile(f"{settings.own_file}: {program.name} replaces {name!r}: use one of {there}")
            if name in found:
                raise BadFile(f"{settings.own_file}: {name!r} is replaced twice: take one away")
            found[name] = program
    return found


def check_names(file: Path, programs: Sequence[OwnService], parts: Sequence[str]) -> None:
    """Raise BadFile where a program has the name of a part of the stack, or of a service it does not replace.

    Programs in the place of services are among the `parts` already, and may be called as one of these.
    """
    for program in programs:
        again = program.name in catalogue.load().names and program.name not in program.replaces
        if again or parts.count(program.name) > (1 if program.replaces else 0):
            raise BadFile(f"{file}: {program.name!r} is a part of the stack: rename the program")


def at(name: str, replaced: Mapping[str, OwnService]) -> str:
    """The service whose ports a service is reached by: its own, unless it lives in a process with others."""
    return replaced[name].replaces[0] if name in replaced else name


def ports(settings: Settings) -> dict[str, int]:
    """Where each service of the catalogue is reached."""
    replaced = stand_ins(settings)
    return {name: settings.port(at(name, replaced)) for name in catalogue.load().names}


def command(settings: Settings, program: OwnService) -> tuple[str, ...]:
    """What starts a program of the dashcam.toml."""
    return (sys.executable, "-m", "dashcam.stack.own_service", str(settings.own_file), program.name)


def scrape_configs(settings: Settings) -> str:
    """Prometheus' jobs for the services of the catalogue, in YAML."""
    replaced = stand_ins(settings)
    return "\n".join(_job(name, replaced, settings) for name in catalogue.load().names)


def _job(name: str, replaced: Mapping[str, OwnService], settings: Settings) -> str:
    target = f"127.0.0.1:{settings.admin_port(at(name, replaced))}"
    job = f'  - job_name: {name}\n    static_configs:\n      - targets: ["{target}"]'
    others = [each for each in (replaced[name].replaces if name in replaced else ()) if each != name]
    theirs = {route for each in others for route in _routes(each)} - set(_routes(name))
    if not theirs:
        return job
    # A JSON string is a YAML string.
    regex = json.dumps("|".join(sorted(theirs)))
    rule = f"source_labels: [http_route], regex: {regex}, action: drop"
    return f"{job}\n    metric_relabel_configs:\n      - {{{rule}}}"


def _routes(name: str) -> tuple[str, ...]:
    """Patterns of the routes of a service as its metrics name them: /cars/<string:maker>."""
    document = catalogue.ROOT / "services" / name / "openapi.yaml"
    paths = _PATH.findall(document.read_text(encoding="utf-8"))
    return tuple(re.sub(r"\{(\w+)\}", r"<([a-z]+:)?\1>", path.replace(".", "[.]")) for path in paths)
