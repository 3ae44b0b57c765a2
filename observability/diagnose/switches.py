"""The file of fault flags of a running stack: the catalogue's flags, each enabled or disabled.

The file is flagd's own format, so a flag's `state` is the switch: DISABLED is off.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from observability.flagd import BadFlags, Flag, parse

CATALOGUE = Path(__file__).resolve().parents[2] / "scenarios" / "flags.json"
"""Every fault that can be switched, all off."""


class UnknownFault(ValueError):
    """There is no fault of this name."""


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

    def all_off(self) -> None:
        """Switch every fault off."""
        document = self._document()
        for flag in document["flags"].values():
            flag["state"] = "DISABLED"
        self._write(document)

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._catalogue.read_text(encoding="utf-8"))
        try:
            text = self.path.read_text(encoding="utf-8")
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


__all__ = ["BadFlags", "Switches", "UnknownFault", "flags_file"]
