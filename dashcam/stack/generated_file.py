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
    if path.exists() and path.read_bytes() != whole.encode() and _changed(path, written):
        kept = _free(path)
        path.rename(kept)
        told = [
            f"{path} was changed since it was written, and is now {kept.name}; "
            f"what you write into {path.parent / OWN} is merged into it"
        ]
    path.write_text(whole, encoding="utf-8")
    written.write_text(hashlib.sha256(whole.encode()).hexdigest())
    return told


def _changed(path: Path, written: Path) -> bool:
    """Whether the file is another than the one that was written last."""
    return not written.exists() or written.read_text() != hashlib.sha256(path.read_bytes()).hexdigest()


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
    try:
        merged = _merged(yaml.safe_load(text), given)
    except BadFile as error:
        raise BadFile(f"{own}: {error}") from None
    return yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)


def _merged(ours: Any, theirs: Any, key: str = "the page") -> Any:
    if theirs is None:
        return ours  # a key whose every entry is a comment
    if isinstance(ours, dict) and isinstance(theirs, dict):
        both = {each: _merged(ours[each], theirs[each], each) for each in ours.keys() & theirs.keys()}
        return {**ours, **theirs, **both}
    if isinstance(ours, list) and isinstance(theirs, list):
        return [*ours, *theirs]
    if isinstance(ours, dict | list):
        kind = "mapping" if isinstance(ours, dict) else "list"
        raise BadFile(f"{key} is no {kind}, as it is in the file that it is added to")
    return theirs
