"""What the bad ones have in common and the good ones do not: by attribute, value or threshold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from dashcam.diagnose.places import Visit, ancestors
from dashcam.diagnose.significance import LIKELY, SURE, more
from dashcam.sources import Span

LEAST_BAD = 4
RECALL = 0.85
"""The share of the bad ones that a description must cover."""
PRECISION = 0.5
"""The share of those it covers that must be bad."""
MINORITY = 0.05
"""The same for a version, an instance or a customer of whom a part is bad, if hardly any other is."""
WIDEST = 0.9
"""A description that fits more than this share of all is no distinction."""
CONTRAST = 3.0
"""How much more frequent bad ones must be where it holds than elsewhere."""

RESOURCE = ("service.version", "service.instance.id", "host.name", "k8s.pod.name", "k8s.node.name")
REQUEST = ("http.request.method", "url.path", "user_agent.original")
_PARAMETER = re.compile(r"[<{](?:\w+:)?(\w+)[>}]|(?<=/):(\w+)")


@dataclass(frozen=True)
class Distinction:
    """`text` holds for `covered` of the bad ones and `others` of the good ones."""

    text: str
    covered: int
    bad: int
    others: int
    good: int


def features(visit: Visit) -> dict[str, str]:
    """What is known of the request that a visit belongs to: its own span's, then its callers'."""
    found: dict[str, str] = {}
    for span in (visit.span, *ancestors(visit.trace, visit.span)):
        for name, value in of_span(span).items():
            found.setdefault(name, value)
    for name in RESOURCE:
        if known := visit.span.resource.get(name):
            found[name] = str(known)
    return found


def of_span(span: Span) -> dict[str, str]:
    """What is known of the request that a span stands for: parameters of path and query, method, agent."""
    route = str(span.attributes.get("http.route", ""))
    whole = urlsplit(str(span.attributes.get("url.full", "")))
    found = _path_parameters(route, str(span.attributes.get("url.path") or whole.path))
    found.update(parse_qsl(str(span.attributes.get("url.query") or whole.query)))
    found.update({name: str(span.attributes[name]) for name in REQUEST if name in span.attributes})
    if route:
        # Named by service: the route of the caller is not the route of the callee.
        found[f"{span.service}'s route"] = route
    return found


def _path_parameters(route: str, path: str) -> dict[str, str]:
    """The values in a path of the parameters of its route's template, in any of the usual spellings."""
    names = [one or other for one, other in _PARAMETER.findall(route)]
    if not names:
        return {}
    pattern = "".join(
        "([^/]+)" if index % 2 else re.escape(part)
        for index, part in enumerate(re.split(r"([<{][^>}]+[>}]|(?<=/):\w+)", route))
    )
    match = re.fullmatch(pattern, path)
    return dict(zip(names, match.groups(), strict=True)) if match else {}


def distinguish(bad: Sequence[Visit], good: Sequence[Visit]) -> Distinction | None:
    """The best description of the bad ones that does not fit the good ones; None where there is none."""
    if len(bad) < LEAST_BAD or not good:
        return None
    bads, goods = [features(visit) for visit in bad], [features(visit) for visit in good]
    # The nearest first: of two that tell as much, the callee's own parameter is the one to name.
    tried = [
        one
        for name in dict.fromkeys(name for each in bads for name in each)
        for one in _descriptions(name, [each.get(name) for each in bads], [each.get(name) for each in goods])
    ]
    # First what is mostly bad; where nothing is, that of which a part is bad, and hardly any of the rest.
    return _best(tried, PRECISION, LIKELY) or _best(tried, MINORITY, SURE)


def _best(tried: Sequence[Distinction], precision: float, likely: float) -> Distinction | None:
    scored = [(score, one) for one in tried if (score := _score(one, precision)) is not None]
    if not scored:
        return None
    best = max(scored, key=lambda pair: pair[0])[1]
    chance = more(best.others, best.good, best.covered, best.bad) * len(tried)
    return best if chance <= likely else None


def _descriptions(name: str, bads: Sequence[str | None], goods: Sequence[str | None]) -> list[Distinction]:
    return [*_equals(name, bads, goods), *_thresholds(name, bads, goods)]


def _score(one: Distinction, least: float) -> float | None:
    recall = one.covered / one.bad
    fits = one.covered + one.others
    if recall < RECALL or fits > WIDEST * (one.bad + one.good):
        return None
    outside = one.bad + one.good - fits
    elsewhere = (one.bad - one.covered) / outside if outside else 0.0
    precision = one.covered / fits
    if precision < least or precision < CONTRAST * elsewhere:
        return None
    return recall * precision


def _equals(name: str, bads: Sequence[str | None], goods: Sequence[str | None]) -> Iterable[Distinction]:
    for value in {value for value in bads if value is not None}:
        covered, others = bads.count(value), goods.count(value)
        yield Distinction(f"{name} = {value}", covered, len(bads), others, len(goods))


def _thresholds(name: str, bads: Sequence[str | None], goods: Sequence[str | None]) -> Iterable[Distinction]:
    low, high = _numbers(bads), _numbers(goods)
    if len(low) < LEAST_BAD or len(set(low)) < 2:
        return
    above, below = sum(value >= min(low) for value in high), sum(value <= max(low) for value in high)
    yield Distinction(f"{name} at least {min(low):g}", len(low), len(bads), above, len(goods))
    yield Distinction(f"{name} at most {max(low):g}", len(low), len(bads), below, len(goods))


def _numbers(values: Sequence[str | None]) -> list[float]:
    found = []
    for value in values:
        if value is not None and re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", value):
            found.append(float(value))
    return found


def scope_of(bad: Sequence[Visit], good: Sequence[Visit]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The distinction in words, and the figures that it rests on."""
    found = distinguish(bad, good)
    if found is None:
        return (), {}
    counts = f"{found.covered} of {found.bad} bad ones, {found.others} of {found.good} good ones"
    if found.covered < PRECISION * (found.covered + found.others):
        counts += f"; {found.covered / (found.covered + found.others):.0%} of these are bad"
    return (found.text,), {"scope": f"{found.text}: {counts}"}
