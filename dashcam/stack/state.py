"""What a stack keeps in its folder between commands, and what its programs inherit."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

from dashcam.stack.settings import Settings, read

FOREIGN = ("OTEL_EXPORTER_OTLP_", "OTEL_SERVICE_NAME", "SUPERVISOR_")
"""Variables of the caller that would send telemetry elsewhere, or give all services one name."""

ENVIRONMENT = "deployment.environment.name"


def settings_file(state_dir: Path) -> Path:
    """Where a running stack keeps the settings that it was started with."""
    return state_dir / "supervisor" / "settings.json"


def write_settings(settings: Settings) -> None:
    """Remember what the stack is started with, so that `status` and `down` need no variables."""
    path = settings_file(settings.state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings.as_environ(), indent=1))


def recorded_settings(settings: Settings) -> Settings:
    """The settings that the stack in the folder of `settings` was started with, else `settings`."""
    try:
        recorded = read(json.loads(settings_file(settings.state_dir).read_text()))
    except (OSError, ValueError):
        return settings
    return dataclasses.replace(recorded, state_dir=settings.state_dir)


def inherited_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the programs take over from the caller's environment, less FOREIGN; where it runs is `local`."""
    environ = os.environ if environ is None else environ
    taken = {name: value for name, value in environ.items() if not name.startswith(FOREIGN)}
    attributes = taken.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if f"{ENVIRONMENT}=" not in attributes:
        pairs = [pair for pair in (attributes, f"{ENVIRONMENT}=local") if pair]
        taken["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(pairs)
    return taken
