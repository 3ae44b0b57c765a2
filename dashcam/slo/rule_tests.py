"""Tests of the generated rules for promtool: an objective pages well above its budget and not within."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dashcam.slo.objectives import Objectives, Slo

MINUTES = 60
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?")
_MATCHER = re.compile(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*,?')
_OTHERS = ("200", "ok", "0", "other")
Labels = dict[str, str]


def document(objectives: Objectives, rule_files: list[str]) -> dict[str, Any]:
    """The page for `promtool test rules`. Names of rule files are relative to where it will lie."""
    factor = 1.1 * max(rate.factor for rate in objectives.burn_rates["page"])
    tests = [case for slo in objectives.slos for case in (_case(slo, factor), _case(slo, 0))]
    return {"rule_files": rule_files, "evaluation_interval": "2m", "tests": tests}


def _case(slo: Slo, factor: float) -> dict[str, Any]:
    every = max(1000, round(10 / slo.budget))
    bad = min(every, round(every * slo.budget * factor))
    alert = f"{slo.sli.capitalize()}BurnFast"
    firing = [{"labels": f'{{alertname="{alert}",slo="{slo.name}"}}', "value": 1}] if bad else []
    return {
        "name": f"{slo.name} - "
        + (f"{factor:.3g} times too many fail, and it pages" if bad else "all is well"),
        "interval": "1m",
        "input_series": list(_series(slo, every, bad)),
        "promql_expr_test": [
            {
                "expr": f'count by (alertname, slo) (ALERTS{{slo="{slo.name}",alertstate="firing"}})',
                "eval_time": f"{MINUTES}m",
                "exp_samples": firing,
            }
        ],
    }


def _series(slo: Slo, every: int, bad: int) -> Iterator[dict[str, str]]:
    """Counters of which `bad` of `every` grow by the minute as they must not."""
    if slo.total:
        yield from _counted(slo, every, bad)
        return
    family, route = "http_server_request_duration_seconds", "/" if not slo.route else _matching(slo.route)
    labels = {"job": slo.service, "instance": "a", "http_route": route}
    ok, failed = {"http_response_status_code": "200"}, {"http_response_status_code": "503"}
    if slo.sli == "availability":
        yield _row(f"{family}_count", labels | ok, every - bad)
        yield _row(f"{family}_count", labels | failed, bad)
    else:
        yield _row(f"{family}_count", labels | ok, every)
        yield _row(f"{family}_bucket", labels | ok | {"le": f"{slo.threshold}"}, every - bad)


def _counted(slo: Slo, every: int, bad: int) -> Iterator[dict[str, str]]:
    part, number = (slo.bad, bad) if slo.bad else (slo.good, every - bad)
    (name, base), (part_name, chosen) = _parsed(slo.total), _parsed(part)
    base = {"job": slo.service, "instance": "a"} | base
    yield _row(part_name, base | chosen, number)
    if part_name != name:
        yield _row(name, base, every)
        return
    others = {label: _not_matching(part, label) for label in chosen if chosen[label] != base.get(label)}
    yield _row(name, base | others, every - number)


def _parsed(selector: str) -> tuple[str, Labels]:
    """The name, and labels that the selector chooses."""
    found = _SELECTOR.fullmatch(selector)
    assert found, selector  # objectives were checked
    return found["name"], {
        label: _matching(value) if operator == "=~" else value
        for label, operator, value in _MATCHER.findall(found["labels"] or "")
        if operator in ("=", "=~")
    }


def _matching(pattern: str) -> str:
    """A text that the pattern matches in full: of the kind that one writes for statuses, routes and names."""
    plain = re.sub(r"\.[*+]", "x", pattern.partition("|")[0].strip("()"))
    text = re.sub(r"\[(.)[^\]]*\][*+]?", r"\1", plain).replace("\\d", "0").replace(".", "0")
    return text if re.fullmatch(pattern, text) else pattern


def _not_matching(selector: str, label: str) -> str:
    matchers = {name: (op, value) for name, op, value in _MATCHER.findall(selector)}
    operator, value = matchers[label]
    pattern = value if operator == "=~" else re.escape(value)
    return next((other for other in _OTHERS if not re.fullmatch(pattern, other)), "none-of-them")


def _row(name: str, labels: Labels, by_minute: int) -> dict[str, str]:
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{inside}}}", "values": f"0+{by_minute}x{MINUTES}"}
