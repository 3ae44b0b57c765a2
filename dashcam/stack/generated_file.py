"""Configurations that every start writes anew, of which nothing that a person wrote is lost.

What is in `own.yml` beside one is merged into it: mappings key by key, lists one after the other. A file that
was changed by hand is kept under another name before it is written, and that is said.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import yaml

from dashcam.stack.own_file import BadFile

OWN = "own.yml"


def write(path: Path, text: str) -> list[str]:
    """Write `text`, with what a person adds to it; answers what to tell. Raises BadFile for a bad own.yml."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = _with_own(path.parent / OWN, text)
    written = path.with_name(f".{path.name}.written")
    told = []
    if path.exists() and path.read_text() != whole and _changed(path, written):
        kept = _free(path)
        path.rename(kept)
        told = [
            f"{path} was changed since it was written, and is now {kept.name}; "
            f"what you write into {path.parent / OWN} is merged into it"
        ]
    path.write_text(whole)
    written.write_text(_digest(whole))
    return told


def _changed(path: Path, written: Path) -> bool:
    """Whether the file is another than the one that was written last."""
    return not written.exists() or written.read_text() != _digest(path.read_text())


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _free(path: Path) -> Path:
    """A name beside the file's that nothing has."""
    number = 1
    while (kept := path.with_name(f"{path.name}.kept-{number}")).exists():
        number += 1
    return kept


def _with_own(own: Path, text: str) -> str:
    if not own.exists():
        return text
    try:
        given = yaml.safe_load(own.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadFile(f"{own} cannot be read: {error}") from error
    if not isinstance(given, dict):
        raise BadFile(f"{own}: give a mapping such as `scrape_configs:`, as in the file that it is added to")
    merged = _merged(yaml.safe_load(text), given)
    return yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)


def _merged(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        both = {key: _merged(ours[key], theirs[key]) for key in ours.keys() & theirs.keys()}
        return {**ours, **theirs, **both}
    if isinstance(ours, list) and isinstance(theirs, list):
        return [*ours, *theirs]
    return theirs
