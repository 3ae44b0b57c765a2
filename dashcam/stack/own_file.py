"""`dashcam.toml`: programs of one's own, what Prometheus is to scrape and which log files to follow.

A mistake names the file, the line, the value and what to give instead. The JSON schema beside this
module, made by `python -m dashcam.stack.own_file`, is of the same declaration, for completion in
editors.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashcam.json_schema import complaints

NAME = "dashcam.toml"
SCHEMA = Path(__file__).with_name("dashcam.schema.json")

_NAME = {
    "type": "string",
    "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
    "patternErrorMessage": "give letters, digits, '.', '_' and '-'",
    "description": "The service's name.",
}
_ADDRESS = {"type": "string", "pattern": r"^[^/\s]+:\d{1,5}$", "patternErrorMessage": "give HOST:PORT"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_WORDS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_TABLES: Mapping[str, Mapping[str, Any]] = {
    "programs": {
        "required": ("name", "command"),
        "name": _NAME,
        "command": {"type": ["string", "array"], "items": {"type": "string"}, "description": "What to run."},
        "folder": {"type": "string", "description": "Where it runs, relative to this file."},
        "port": {**_PORT, "description": "Port it serves on; it is ready once that takes connections."},
        "metrics_port": {**_PORT, "description": "Port of its /metrics; found by itself where left out."},
        "instrument": {"type": "boolean", "description": "Whether opentelemetry-instrument runs it."},
        "replaces": {**_WORDS, "description": "Services of the catalogue that it stands in for."},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "targets": {
        "required": ("job", "addresses"),
        "job": _NAME,
        "addresses": {**_WORDS, "items": _ADDRESS},
    },
    "logs": {
        "required": ("service", "files"),
        "service": _NAME,
        "files": {**_WORDS, "description": "Files and patterns such as /var/log/shop/*.log."},
    },
}


class BadFile(ValueError):
    """The file cannot be used; the message says where, why and what to give."""


@dataclass(frozen=True)
class OwnService:
    """A program that the stack starts."""

    name: str
    command: tuple[str, ...]
    folder: Path
    port: int | None = None
    metrics_port: int | None = None
    instrument: bool | None = None
    replaces: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnFile:
    """What the file lists; `logs` are (service, pattern) with absolute patterns."""

    programs: tuple[OwnService, ...] = ()
    targets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    logs: tuple[tuple[str, str], ...] = ()


def read_file(path: Path) -> OwnFile:
    """Read and check the file. Raises BadFile."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: not TOML: {error}") from error
    _check(document, _Places(path, text))
    here = path.resolve().parent
    programs = tuple(_program(table, here) for table in document.get("programs", ()))
    return OwnFile(
        programs,
        tuple((table["job"], tuple(table["addresses"])) for table in document.get("targets", ())),
        tuple(
            (table["service"], str(here / file))
            for table in document.get("logs", ())
            for file in table["files"]
        ),
    )


def _program(table: Mapping[str, Any], here: Path) -> OwnService:
    command = table["command"]
    return OwnService(
        table["name"],
        tuple(shlex.split(command) if isinstance(command, str) else command),
        here / table.get("folder", "."),
        table.get("port"),
        table.get("metrics_port"),
        table.get("instrument"),
        tuple(table.get("replaces", ())),
        table.get("environment", {}),
    )


@dataclass(frozen=True)
class _Places:
    """Where in the text a table and its key are, since the parser does not say."""

    path: Path
    text: str

    def bad(self, table: str, number: int, key: str, complaint: str) -> BadFile:
        lines = self.text.splitlines()
        heads = [n for n, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{table}\s*\]\]", line)]
        at = heads[number] if number < len(heads) else 0
        for place in range(at + 1, len(lines)):
            if lines[place].lstrip().startswith("[["):
                break
            if key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", lines[place]):
                at = place
                break
        return BadFile(f"{self.path}:{at + 1}: {complaint}")


def _check(document: Mapping[str, Any], places: _Places) -> None:
    for table, rows in document.items():
        if table not in _TABLES or not isinstance(rows, list):
            known = ", ".join(f"[[{name}]]" for name in _TABLES)
            line = next((n for n, text in enumerate(places.text.splitlines(), 1) if table in text), 1)
            raise BadFile(f"{places.path}:{line}: {table!r} is not known here: use {known}")
        for number, row in enumerate(rows):
            _row(table, number, row, places)
    names = [row["name"] for row in document.get("programs", ())]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise places.bad("programs", number, "name", f"two programs are called {name!r}: rename one")


def _row(table: str, number: int, row: Mapping[str, Any], places: _Places) -> None:
    declared = _TABLES[table]
    for key in declared["required"]:
        if key not in row:
            raise places.bad(table, number, "", f"[[{table}]] needs {key!r}")
    for key, value in row.items():
        if key not in declared or key == "required":
            known = ", ".join(name for name in declared if name != "required")
            raise places.bad(table, number, key, f"{key!r} is no key of [[{table}]]: use {known}")
        for complaint in complaints(value, declared[key], {}):
            raise places.bad(table, number, key, f"{key} = {value!r}: {complaint.remedy}")
    if first := row.get("replaces", ()):  # callers and Prometheus go to the ports of what it replaces
        prefix = first[0].upper().replace("-", "_")
        for key, variable in (("port", f"{prefix}_PORT"), ("metrics_port", f"{prefix}_ADMIN_PORT")):
            if key in row:
                told = f"a program that replaces {first[0]!r} is given its ports: set {variable} instead"
                raise places.bad(table, number, key, f"{key} = {row[key]}: {told}")


def schema() -> dict[str, Any]:
    """The file's JSON schema."""
    tables = {
        name: {
            "type": "array",
            "items": {
                "type": "object",
                "required": list(declared["required"]),
                "properties": {key: rule for key, rule in declared.items() if key != "required"},
                "additionalProperties": False,
            },
        }
        for name, declared in _TABLES.items()
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": NAME,
        "type": "object",
        "properties": tables,
        "additionalProperties": False,
    }


def append(path: Path, table: str, row: Mapping[str, str | list[str]]) -> None:
    """Add a table to the end of the file, which is made where there is none; nothing else of it changes.

    Raises BadFile, with the file as it was, where the result could not be read.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in row.items()]
    gap = "\n" if before and not before.endswith("\n\n") else ""
    path.write_text(f"{before}{gap}[[{table}]]\n" + "\n".join(lines) + "\n", encoding="utf-8")
    try:
        read_file(path)
    except BadFile:
        path.write_text(before, encoding="utf-8") if before else path.unlink()
        raise


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
