"""The file of fault flags of a running stack: the catalogue's flags, each enabled or disabled.

The file is flagd's own format, so a flag's `state` is the switch: DISABLED is off.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observability.settings import setting

CATALOGUE = Path(__file__).resolve().parents[2] / "scenarios" / "flags.json"
"""Every fault that can be switched, all off."""


@dataclass(frozen=True)
class SwitchSettings:
    """Whether faults may be switched from here."""

    file: str | None = setting(
        "DASHCAM_FAULTS_FILE",
        None,
        help="The file of flags, in flagd's format, that the services read; unset, nothing can be switched. "
        "`make up` names one in its state folder.",
    )


@dataclass(frozen=True)
class Flag:
    """One flag of the file, as far as a switch needs it."""

    key: str
    enabled: bool
    variants: Mapping[str, Any]
    default: str | None
    metadata: Mapping[str, Any]


class BadFlags(ValueError):
    """The file is not one of flags. The message names the flag, what is wrong, and the remedy."""


class UnknownFault(ValueError):
    """There is no fault of this name."""


def parse(text: str | bytes) -> dict[str, Flag]:
    """Return the flags of a file by key. Raises BadFlags. Their targeting is for the services to read."""
    try:
        flags = json.loads(text)["flags"]
        return {str(key): _flag(str(key), value) for key, value in flags.items()}
    except BadFlags:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadFlags(
            f'not a file of flags ({error}): give {{"flags": {{...}}}}, as flagd reads it'
        ) from None


def _flag(key: str, value: Any) -> Flag:
    if not isinstance(value, dict) or not isinstance(value.get("variants"), dict) or not value["variants"]:
        raise BadFlags(f"the flag {key} has no variants: give variants by name")
    if value.get("state") not in ("ENABLED", "DISABLED"):
        raise BadFlags(f"the flag {key} has the state {value.get('state')!r}: give ENABLED or DISABLED")
    default = value.get("defaultVariant")
    if default is not None and default not in value["variants"]:
        raise BadFlags(f"the flag {key} has the default variant {default!r}: give one of its variants")
    if not isinstance(value.get("metadata") or {}, dict):
        raise BadFlags(f"the flag {key} has the metadata {value['metadata']!r}: give values by name")
    return Flag(key, value["state"] == "ENABLED", value["variants"], default, value.get("metadata") or {})


def flags_file(state_dir: Path, environ: Mapping[str, str]) -> Path:
    """The file that the services read: DASHCAM_FAULTS_FILE, or the one in the state folder."""
    named = environ.get("DASHCAM_FAULTS_FILE")
    return Path(named).absolute() if named else state_dir / "faults.json"


class Switches:
    """The faults of the file at `path`, which is made of the catalogue when it is first written."""

    def __init__(self, path: Path, catalogue: Path = CATALOGUE) -> None:
        self.path = path
        self._catalogue = catalogue

    def all(self) -> dict[str, Flag]:
        """Every fault by name: those of the catalogue, as far as the file has nothing else to say."""
        return parse(json.dumps(self._document()))

    def set(self, name: str, on: bool) -> None:
        """Switch one fault. Raises UnknownFault, BadFlags or OSError."""
        document = self._document()
        if name not in document["flags"]:
            raise UnknownFault(
                f"there is no fault {name!r}: give one of {', '.join(sorted(document['flags']))}"
            )
        document["flags"][name]["state"] = "ENABLED" if on else "DISABLED"
        self._write(document)

    def add(self, name: str, flag: Mapping[str, Any]) -> None:
        """Add a flag that the catalogue does not have, in flagd's format. Raises BadFlags or OSError."""
        _flag(name, flag)
        document = self._document()
        document["flags"][name] = flag
        self._write(document)

    def drop(self, name: str) -> None:
        """Take a flag away that was added."""
        document = self._document()
        document["flags"].pop(name, None)
        self._write(document)

    def all_off(self) -> None:
        """Switch every fault off."""
        document = self._document()
        for flag in document["flags"].values():
            flag["state"] = "DISABLED"
        self._write(document)

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._catalogue.read_text(encoding="utf-8"))
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return document
        parse(text)  # says what is wrong with it, if anything
        for key, flag in json.loads(text)["flags"].items():
            document["flags"].setdefault(key, flag)["state"] = flag["state"]
        return document

    def _write(self, document: dict[str, Any]) -> None:
        """Put the whole file in place at once: a service must never read half of it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        os.replace(temporary, self.path)
