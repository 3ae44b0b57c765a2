"""Colours by meaning: red is failing wherever it is drawn, and a service has the console's colour for it.

Names are Grafana's own, which it draws differently on light and dark; the preview and the console have the
same meanings as variables of their stylesheets. A test compares the services' colours with the console's.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from dashboards.src.slos import load

GOOD, WARN, BAD, INFO = "green", "orange", "red", "blue"
WORST = "dark-red"
QUIET = "#8e99a8"
"""Of what asks for no attention, and of "no data", which is neither good nor bad."""

PALETTE = (
    *("#2a7f9e", "#c2571a", "#0f8f8f", "#a33fa3", "#8a7a10", "#2f6fd0"),
    *("#b93a5b", "#5a5fd0", "#4f8a1f", "#c98a00", "#7a5a45", "#2c8f56"),
)
"""The console's colours of services, in its order."""


@dataclass(frozen=True)
class Meaning:
    """The series whose name matches `pattern` have this colour; `shades` of it where several differ."""

    pattern: str
    colour: str
    shades: bool = False


_BY_LABEL = {
    "severity": (
        Meaning("DEBUG|TRACE", QUIET),
        Meaning("INFO", INFO),
        Meaning("WARN", WARN),
        Meaning("ERROR", BAD),
        Meaning("FATAL", WORST),
    ),
    "http_response_status_code": (
        Meaning("[12]\\d\\d", GOOD, shades=True),
        Meaning("3\\d\\d", INFO, shades=True),
        Meaning("4\\d\\d", WARN, shades=True),
        Meaning("5\\d\\d", BAD, shades=True),
    ),
    "outcome": (
        Meaning("ok|stored|confirmed", GOOD),
        Meaning("rejected|cancelled", WARN),
        Meaning("unavailable|refused", BAD),
    ),
}
_WORDS = (
    Meaning("read|received|known", INFO, shades=True),
    Meaning("accepted|delivered|sent", GOOD, shades=True),
    Meaning("retries", WARN, shades=True),
    Meaning("failed|refused|dropped|errors|given up|queue full", BAD, shades=True),
)
"""Of the last word of a name, such as in `{{job}} refused`."""

_LABEL = re.compile(r"\{\{(\w+)\}\}")


def of(legend: str) -> Iterator[Meaning]:
    """What the names that `legend` makes can mean; patterns match the end of a name."""
    labels = _LABEL.findall(legend)
    if not labels:
        return
    if legend == "{{job}}":
        for service, colour in of_services(_services()).items():
            yield Meaning(re.escape(service), colour)
    elif (last := labels[-1]) in _BY_LABEL and legend.endswith(f"{{{{{last}}}}}"):
        yield from _BY_LABEL[last]
    else:
        word = _LABEL.sub("", legend).strip()
        yield from (each for each in _WORDS if re.fullmatch(each.pattern, word))


def of_services(names: Iterable[str]) -> dict[str, str]:
    """A colour for each service, by the console's own rule."""
    taken: dict[str, str] = {}
    for name in sorted(set(names)):
        number = zlib.crc32(name.encode()) % len(PALETTE)
        while PALETTE[number] in taken.values() and len(taken) < len(PALETTE):
            number = (number + 1) % len(PALETTE)
        taken[name] = PALETTE[number]
    return taken


@cache
def _services() -> tuple[str, ...]:
    return tuple(load().depends_on)
