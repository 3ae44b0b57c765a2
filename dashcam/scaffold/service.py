"""Making a service from the template, and taking one away."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from dashcam.registry import catalogue
from dashcam.registry.catalogue import Catalogue, Service
from dashcam.scaffold import checkout, choices, rendering
from dashcam.scaffold.checkout import CATALOGUE
from dashcam.scaffold.choices import Refused
from dashcam.scaffold.rendering import Answers


def make(root: Path, name: str, port: int | None, owner: str | None, description: str | None) -> Answers:
    """Write a service and everything made of the catalogue. Raises Refused, and then nothing was written."""
    known = _load(root)
    choices.check_name(name, known, root)
    if port is not None:
        choices.check_port(port, known)
    answers = Answers(
        name,
        port or choices.free_port(known),
        owner or known.owners[0][0],
        description or f"Serves {name}.",
    )
    texts: dict[str, str | None] = dict(rendering.files(answers, root))
    if there := [place for place in texts if (root / place).exists()]:
        raise Refused(f"{there[0]} is there already: give another name, or take it away")
    before = (root / CATALOGUE).read_text(encoding="utf-8")
    texts[CATALOGUE] = checkout.checked(before.rstrip("\n") + "\n" + rendering.entry(answers, root))
    _change(root, texts)
    return answers


def remove(root: Path, name: str, *, force: bool = False) -> list[str]:
    """Delete a service that the template has made, and return its files.

    Raises Refused where another service depends on it, and, without `force`, where something of it is not
    as the template made it: what somebody has written is not deleted by mistake.
    """
    known = _load(root)
    try:
        service = known.service(name)
    except catalogue.CatalogueError as error:
        raise Refused(f"NAME={name!r}: {error}") from None
    if callers := known.callers(name):
        raise Refused(
            f"{', '.join(callers)} depend{'s' if len(callers) == 1 else ''} on {name}: "
            f"take {name} out of depends_on in {CATALOGUE} first"
        )
    text = (root / CATALOGUE).read_text(encoding="utf-8")
    made = rendering.files(_answers(service), root)
    present = _present(root, name, made)
    changed = [place for place in present if made.get(place, "").encode() != (root / place).read_bytes()]
    if entry_of(text, name) != rendering.entry(_answers(service), root):
        changed.append(f"{CATALOGUE}: the entry of {name}")
    if changed and not force:
        raise Refused(
            f"{name} has been changed since it was made, or was not made from the template:\n  "
            + "\n  ".join(changed)
            + "\nFORCE=1 deletes it all the same; keep what you want of it first"
        )
    rest = checkout.checked(text.replace(entry_of(text, name), ""))
    _change(root, {**dict.fromkeys(present), CATALOGUE: rest})
    return present


def entry_of(text: str, name: str) -> str:
    """A service's lines in the text of a catalogue: from its name to the next key that is as far left."""
    found = re.search(
        rf"^  {re.escape(name)}:\n(?:(?:   .*)?\n)*", text[text.index("\nservices:") :], re.MULTILINE
    )
    return found.group() if found else ""


def _present(root: Path, name: str, made: dict[str, str]) -> list[str]:
    """The files of a service that are there: the template's, and what else lies in its folders."""
    own = [target.replace("NAME", name) for target in rendering.FOLDERS.values() if "NAME" in target]
    beside = [path for folder in own for path in (root / folder).rglob("*") if path.is_file()]
    beside += (root / "tests/contract").glob(f"test_{name}_*.py")
    found = {path.relative_to(root).as_posix() for path in beside if "__pycache__" not in path.parts}
    return sorted(found | {place for place in made if (root / place).exists()})


def _answers(service: Service) -> Answers:
    return Answers(service.name, service.port, service.owner, service.description)


def _load(root: Path) -> Catalogue:
    try:
        return catalogue.load(root / CATALOGUE)
    except catalogue.CatalogueError as error:
        raise Refused(str(error)) from None


def _change(root: Path, texts: dict[str, str | None]) -> None:
    try:
        with checkout.all_or_nothing(root, texts):
            checkout.generate(root)
    except BaseException:
        # The sources are as they were; so shall be what is made of them, as far as that can be had.
        with suppress(Refused):
            checkout.generate(root)
        raise
