"""Writing into a checkout and taking away from it: all of a change, or nothing of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dashcam.registry import catalogue
from dashcam.scaffold.choices import Refused

CATALOGUE = "services/catalogue.yaml"
GENERATORS = (
    ("dashcam.registry",),
    ("dashboards.src",),
    ("docs.configuration_page", "--write"),
    ("docs.decisions", "--write"),
    ("telemetry_schema",),
)
"""What `make generated` runs."""


def generate(root: Path) -> None:
    """Write every generated file anew. Raises Refused with what a generator said."""
    for module, *options in GENERATORS:
        done = subprocess.run(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *options], cwd=root, capture_output=True, text=True
        )
        if done.returncode:
            raise Refused(f"{module} cannot make its files:\n{(done.stderr or done.stdout).strip()}")


def checked(text: str) -> str:
    """The text of a catalogue. Raises Refused where it cannot be used."""
    try:
        catalogue.parse(text, CATALOGUE)
    except catalogue.CatalogueError as error:
        raise Refused(str(error)) from None
    return text


@contextmanager
def all_or_nothing(root: Path, changed: Mapping[str, str | None]) -> Iterator[None]:
    """Write the texts, delete where there is None; whatever goes wrong below, all is as it was before."""
    before = {name: path.read_bytes() if (path := root / name).exists() else None for name in changed}
    try:
        _apply(root, changed)
        yield
    except BaseException:
        _apply(root, before)
        raise


def _apply(root: Path, texts: Mapping[str, str | bytes | None]) -> None:
    for name, text in texts.items():
        path = root / name
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)
            continue
        path.unlink(missing_ok=True)
        _delete_if_empty(path.parent)


def _delete_if_empty(folder: Path) -> None:
    """Delete a folder in which nothing is left but what Python keeps of its modules."""
    if not folder.is_dir() or any(each.name != "__pycache__" for each in folder.iterdir()):
        return
    for kept in folder.glob("__pycache__/*"):
        kept.unlink()
    for cache in folder.glob("__pycache__"):
        cache.rmdir()
    folder.rmdir()
