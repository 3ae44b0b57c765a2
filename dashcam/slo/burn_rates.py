"""Objectives to recording rules and burn-rate alerts.

Recorded for each objective, as `slo`, `service` and `sli`:
  slo:events:total, slo:failures:total   counters of each target, with `job`, `instance` and `pod`; see below
  slo:events:increase<window>     events in the window
  slo:failures:increase<window>   the bad ones among them; 0, not absent, while all is well
  slo:failures:ratio<window>      bad over all; absent, not 0/0, while there is no traffic
  slo:objective:ratio, slo:threshold:seconds (of a latency objective), slo:budget_left:ratio

A service has no series for a failure until it first fails, and Prometheus counts growth: what appears with
its first value has not grown. So the counters are recorded, beginning with 0 as soon as the target is
scraped; the first failure of all is growth from there. Each target keeps its own, so that a restart is seen
as one.

Windows up to six hours are counted from these. A day and more would read hundreds of thousands of samples
each time, so these windows add up the recorded five-minute counts, one every five minutes. Where Prometheus
holds less than a window (a laptop, a fresh start), the window is what it holds.
"""

from __future__ import annotations

from textwrap import indent

from dashcam.slo.durations import milliseconds
from dashcam.slo.objectives import BurnRate, Objectives, Slo
from dashcam.slo.rules import Alert, Group, Recording
from observability import schema

BASE = "5m"
RAW_UP_TO = milliseconds("6h")
TARGET = "job, instance, pod"
"""What tells one target from another; on a laptop none has a pod. A roll-out asks for the new version's."""
EVERYTHING = 0.999
"""A ratio from which on "all failed" holds: sums of floats do not always reach 1."""


def groups(objectives: Objectives) -> list[Group]:
    """The rule groups of all objectives."""
    long = [window for window in windows(objectives) if not _raw(window)]
    return [
        *(Group(f"slo-{slo.name}", _counts(slo, objectives), "15s") for slo in objectives.slos),
        Group("slo-ratios", _ratios(objectives), "15s"),
        Group("slo-long-windows", [rule for window in long for rule in _added_up(window)], "1m"),
        Group("slo-burn", [alert for slo in objectives.slos for alert in _alerts(slo, objectives)], "15s"),
    ]


def budget_groups(objectives: Objectives) -> list[Group]:
    """The group of the whole period, a rule file of its own: no alert rests on it, and it costs the most."""
    left = f"1 - slo:failures:ratio{objectives.period} / (1 - slo:objective:ratio)"
    rules = [*_added_up(objectives.period), Recording("slo:budget_left:ratio", left)]
    return [Group("slo-budget", rules, "1m")]


def windows(objectives: Objectives) -> list[str]:
    """The windows that the burn rates need, shortest first."""
    rates = [rate for group in objectives.burn_rates.values() for rate in group]
    return sorted({BASE} | {window for rate in rates for window in (rate.long, rate.short)}, key=milliseconds)


def _raw(window: str) -> bool:
    return milliseconds(window) <= RAW_UP_TO


def _selector(slo: Slo, *more: str) -> str:
    route = f'http_route=~"{slo.route}"' if slo.route else f'http_route!="{schema.UNMATCHED_ROUTE}"'
    return "{" + ",".join([f'job="{slo.service}"', route, *more]) + "}"


def _of_each_target(metric: str, selector: str = "") -> str:
    return f"sum by ({TARGET}) ({metric}{selector})"


def _zero(slo: Slo) -> str:
    """0 for each target that answers; while one does not, nothing, for a fall to 0 would be a restart."""
    return f'0 * sum by ({TARGET}) (up{{job="{slo.service}"}} == 1)'


def _every(slo: Slo) -> str:
    """Errors have no latency worth an objective."""
    if slo.total:
        return _of_each_target(slo.total)
    selector = _selector(slo, 'http_response_status_code!~"5.."') if slo.sli == "latency" else _selector(slo)
    return _of_each_target(schema.HTTP_SERVER_DURATION.sample, selector)


def events(slo: Slo) -> str:
    """PromQL that counts the events of each target since it started: 0 from its first scrape on."""
    return f"{_every(slo)}\nor {_zero(slo)}"


def failures(slo: Slo) -> str:
    """PromQL that counts the bad ones among the events of each target: 0 from its first scrape on."""
    if slo.bad:
        bad = _of_each_target(slo.bad)
    elif slo.good:
        bad = f"{_every(slo)}\n- ({_of_each_target(slo.good)} or 0 * {_every(slo)})"
    elif slo.sli == "latency":
        fast = _selector(slo, 'http_response_status_code!~"5.."', f'le="{slo.threshold}"')
        bad = f"{_every(slo)}\n- {_of_each_target(f'{schema.HTTP_SERVER_DURATION.name}_bucket', fast)}"
    else:
        selector = _selector(slo, 'http_response_status_code=~"5.."')
        bad = _of_each_target(schema.HTTP_SERVER_DURATION.sample, selector)
    return f"{bad}\nor {_zero(slo)}"


def _labels(slo: Slo) -> dict[str, str]:
    return {"slo": slo.name, "service": slo.service, "sli": slo.sli}


def _counts(slo: Slo, objectives: Objectives) -> list[Recording]:
    labels = _labels(slo)
    recorded = [
        Recording("slo:objective:ratio", f"vector({slo.objective / 100:.6g})", labels),
        *(
            [Recording("slo:threshold:seconds", f"vector({slo.threshold:g})", labels)]
            if slo.threshold
            else []
        ),
        # Failures before events: if a scrape comes in between the two, there are never more bad than all.
        Recording("slo:failures:total", failures(slo), labels),
        Recording("slo:events:total", events(slo), labels),
    ]
    for window in filter(_raw, windows(objectives)):
        recorded += [
            Recording(
                f"slo:{what}:increase{window}",
                f'sum(increase(slo:{what}:total{{slo="{slo.name}"}}[{window}]))',
                labels,
            )
            for what in ("events", "failures")
        ]
    return recorded


def _ratio(window: str) -> Recording:
    return Recording(
        f"slo:failures:ratio{window}", f"slo:failures:increase{window} / (slo:events:increase{window} > 0)"
    )


def _ratios(objectives: Objectives) -> list[Recording]:
    return [_ratio(window) for window in windows(objectives) if _raw(window)]


def _added_up(window: str) -> list[Recording]:
    return [
        *(
            Recording(
                f"slo:{what}:increase{window}", f"sum_over_time(slo:{what}:increase{BASE}[{window}:{BASE}])"
            )
            for what in ("events", "failures")
        ),
        _ratio(window),
    ]


def _burning(slo: Slo, rate: BurnRate, min_failures: int) -> str:
    this = f'{{slo="{slo.name}"}}'
    limit = f"{rate.factor:g} * {slo.budget:g}"
    return (
        f"(\n    slo:failures:ratio{rate.long}{this} > {limit}\n"
        f"  and\n    slo:failures:ratio{rate.short}{this} > {limit}\n"
        f"  and\n    slo:failures:increase{rate.long}{this} >= {min_failures}\n)"
    )


def _nothing_succeeds(slo: Slo, objectives: Objectives) -> str:
    this = f'{{slo="{slo.name}"}}'
    return (
        f"(\n    slo:failures:ratio1h{this} > {EVERYTHING}\n"
        f"  and\n    slo:failures:increase1h{this} >= {objectives.min_all_failed}\n)"
    )


def _paged(slo: Slo, alert: str, objectives: Objectives) -> str:
    """Whether `alert` fired within the tickets' longest short window, which still holds what it was about.

    Who was woken need not be told again when it is over.
    """
    window = max((rate.short for rate in objectives.burn_rates["ticket"]), key=milliseconds)
    fired = f'ALERTS{{alertname="{alert}",alertstate="firing",slo="{slo.name}"}}'
    return f"max_over_time({fired}[{window}])"


_WORDS = {
    "availability": ("fail", "Availability"),
    "latency": ("are too slow", "Latency"),
}


def _alerts(slo: Slo, objectives: Objectives) -> list[Alert]:
    verb, prefix = _WORDS[slo.sli]
    limit = f" (the limit is {slo.threshold:g} s)" if slo.threshold else ""
    promise = f"{slo.about} {slo.objective:g} % of the time, over {objectives.period}."
    alerts = []
    for severity, speed in (("page", "Fast"), ("ticket", "Slow")):
        arms = [_burning(slo, rate, objectives.min_failures) for rate in objectives.burn_rates[severity]]
        if severity == "page" and slo.sli == "availability":
            arms.append(_nothing_succeeds(slo, objectives))
        expr = "\nor\n".join(arms)
        if severity == "ticket":
            expr = (
                f"(\n{indent(expr, '  ')}\n)\nunless on (slo)\n{_paged(slo, f'{prefix}BurnFast', objectives)}"
            )
        slowest = min(rate.factor for rate in objectives.burn_rates[severity])
        pace = f"at least {slowest:g} times too fast" if slowest > 1 else "before its period is over"
        alerts.append(
            Alert(
                name=f"{prefix}Burn{speed}",
                labels=_labels(slo),
                keep=objectives.keep_firing[severity],
                board=f"dashcam-slo?var-slo={slo.name}",
                severity=severity,  # type: ignore[arg-type]  # the loop's two literals
                expr=expr,
                summary=f"{{{{ $value | humanizePercentage }}}} of the requests of {slo.name} {verb}{limit}.",
                description=(
                    f"Promised: {promise} At this rate the error budget is used up {pace}, "
                    "and it is still going on."
                ),
            )
        )
    return alerts
