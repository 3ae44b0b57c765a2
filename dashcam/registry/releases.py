"""Whether a version of a service fits what runs: by the contracts of both sides, and by the catalogue.

A contract of a version is kept by that version's providers: its tests verified it (docs/adr/0206). So a
consumer of one version fits a provider of another where the provider's version holds every interaction that
the consumer's version has, word for word. Of all else it is not known that it works, and that is said.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dashcam.registry.catalogue import ROOT, Catalogue

FOLDER = "services/contracts"
Contracts = Mapping[tuple[str, str], Mapping[str, Any]]
"""By consumer and provider: each interaction by what it is called."""
Running = Mapping[str, Sequence[str]]
"""The versions of each service that run: several while one replaces the other."""


class UnknownVersion(LookupError):
    """There is nothing in this repository that says what the version expects."""


@dataclass(frozen=True)
class Misfit:
    """A consumer and a provider that do not fit, or are not known to."""

    consumer: str
    provider: str
    why: str

    def __str__(self) -> str:
        return f"{self.consumer} -> {self.provider}: {self.why}"


def misfits(
    service: str,
    running: Running,
    catalogue: Catalogue,
    contracts: Callable[[str | None], Contracts],
) -> Iterator[Misfit]:
    """Those between the checkout's version of `service` and what runs, which is `running`.

    `contracts` gives those of a version, of the checkout for None. Raises UnknownVersion, also for a name
    that neither the catalogue nor a contract of its version has: one that is misspelt would fit anything.
    """
    ours = contracts(None)
    for needed in catalogue.called_by(service):
        if needed.name not in running:
            yield Misfit(service, needed.name, f"{needed.name} does not run, and {service} depends on it")
    for (consumer, provider), interactions in sorted(ours.items()):
        for version in running.get(provider, ()) if consumer == service else ():
            tested = contracts(version).get((consumer, provider), {})
            yield from _unmet(consumer, provider, interactions, tested, f"{provider} {version}")
    for consumer, version in [(name, each) for name in sorted(running) for each in running[name]]:
        if consumer == service:
            continue
        theirs = contracts(version)
        if consumer not in catalogue.names and not any(consumer in pair for pair in theirs):
            there = ", ".join(catalogue.names)
            raise UnknownVersion(
                f"there is no service {consumer!r}, and no contract of it; there are {there}"
            )
        held = ours.get((consumer, service), {})
        asked = theirs.get((consumer, service), {})
        yield from _unmet(consumer, service, asked, held, f"this version of {service}")


def _unmet(
    consumer: str, provider: str, asked: Mapping[str, Any], held: Mapping[str, Any], who: str
) -> Iterator[Misfit]:
    for name, interaction in sorted(asked.items()):
        if name not in held:
            yield Misfit(consumer, provider, f"«{name}» is asked, and {who} was never tested for it")
        elif held[name] != interaction:
            yield Misfit(
                consumer, provider, f"«{name}» is another for {who}: {_difference(interaction, held[name])}"
            )


def _difference(asked: Any, held: Any, path: str = "") -> str:
    """Where two interactions differ first, in their own words."""
    if isinstance(asked, dict) and isinstance(held, dict):
        for key in sorted({*asked, *held}):
            if asked.get(key) != held.get(key):
                return _difference(asked.get(key), held.get(key), f"{path}.{key}" if path else key)
    return f"{path} is {json.dumps(held)}, {json.dumps(asked)} is expected"


def read_contracts(version: str | None, current: str, root: Path = ROOT) -> Contracts:
    """The contracts of a version: of its tag or of any name of a commit; of the files for None.

    The checkout's own version stands for its files while there is no tag of it. Raises UnknownVersion.
    """
    if version is not None and (commit := _commit(version, root)):
        listed = _git(root, "ls-tree", "--name-only", commit, f"{FOLDER}/").splitlines()
        texts = {Path(path).stem: _git(root, "show", f"{commit}:{path}") for path in listed}
        if not texts:
            raise UnknownVersion(f"{version} has nothing in {FOLDER}: what it expects is not known")
    elif version in (None, current):
        texts = {path.stem: path.read_text(encoding="utf-8") for path in (root / FOLDER).glob("*.json")}
    else:
        raise UnknownVersion(
            f"there is no tag v{version}, nor a commit {version}: what it expects is not known"
        )
    return {_pair(name): _interactions(text) for name, text in texts.items() if name}


def _pair(name: str) -> tuple[str, str]:
    consumer, _, provider = name.partition("-")
    return consumer, provider


def _interactions(text: str) -> Mapping[str, Any]:
    return {each["description"]: each for each in json.loads(text)["interactions"]}


def _commit(version: str, root: Path) -> str:
    names = (f"v{version}", version)
    found = (_git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip() for name in names)
    return next(filter(None, found), "")


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    except FileNotFoundError:  # no git here: nothing is known but the files
        return ""
    return done.stdout if done.returncode == 0 else ""
