"""A recorded page: the families that panels and rules name, and the origin as comments at its head."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dashboards.src.third_party import ALL

FOLDER = Path(__file__).resolve().parent.parent / "expositions"
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?P<labels>\{.*\})? (?P<value>\S+)(?: -?\d+)?$")
_PARTS = re.compile(r"_(?:bucket|sum|count|total)$")


@dataclass(frozen=True)
class Page:
    """What a program said. `job` is its job in k8s/base/prometheus and the name of the file.

    `program` names it with its version, `how` says how it was run and what it was given to count, `cut` what
    was cut off, beyond the families that no panel or rule names.
    """

    job: str
    program: str
    how: str
    text: str
    cut: str = ""
    keep: Callable[[str], bool] = lambda sample: True

    def write(self) -> Path:
        """Write the page to the folder of expositions."""
        path = FOLDER / f"{self.job}.prom"
        path.write_text("\n".join([*self._head(), *_kept(self.text.splitlines(), self.keep), ""]))
        return path

    def _head(self) -> list[str]:
        cut = f"Cut: series that no panel or rule names{f'; {self.cut}' if self.cut else ''}."
        said = [f"Recorded on {datetime.now(UTC):%Y-%m-%d} from {self.program}.", f"Run: {self.how}", cut]
        return [f"# {line}" for each in said for line in textwrap.wrap(each, 108)]


def _kept(lines: Iterable[str], keep: Callable[[str], bool]) -> list[str]:
    """The samples in ALL, each family under its TYPE.

    Times of samples are cut off, for Prometheus refuses what is older than an hour.
    """
    types: dict[str, str] = {}
    samples: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:4]
            types[name] = kind
        elif (found := _SAMPLE.match(line)) and found["name"] in ALL and keep(line):
            family = _PARTS.sub("", found["name"])
            samples.setdefault(family if family in types else found["name"], []).append(
                f"{found['name']}{found['labels'] or ''} {found['value']}"
            )
    return [
        line
        for family in sorted(samples)
        for line in (f"# TYPE {family} {types.get(family, 'untyped')}", *samples[family])
    ]
