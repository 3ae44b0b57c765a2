"""What a rule file is made of, and how it is written.

Every alert has a severity, a summary that a person half asleep understands, a dashboard, and a runbook whose
address is derived from its name. Severities: `page` wakes someone, `ticket` waits for the morning, `none` is
Watchdog's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

from dashcam.slo.durations import scale_expression, scaled

Severity = Literal["page", "ticket", "none"]


@dataclass(frozen=True)
class Recording:
    """A recording rule: `record` gets the value of `expr`, with `labels` added."""

    record: str
    expr: str
    labels: dict[str, str] = field(default_factory=dict)

    def scaled(self, scale: Fraction) -> Recording:
        return replace(self, expr=scale_expression(self.expr, scale))

    def document(self, runbooks: str) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        labels = {"labels": self.labels} if self.labels else {}
        return {"record": self.record, "expr": self.expr} | labels


@dataclass(frozen=True)
class Alert:
    """An alerting rule.

    `hold` is Prometheus' `for`, `keep` its `keep_firing_for`; `summary` and `description` may use its
    templates. `board` is the dashboard to open, its uid and what follows.

    `service` is the part that the alert blames: a name, or a template such as `{{ $labels.job }}`. Grouping
    and inhibition in Alertmanager rest on it.
    """

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    hold: str = ""
    keep: str = ""
    service: str = ""
    board: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def scaled(self, scale: Fraction) -> Alert:
        hold, keep = (scaled(each, scale) if each else "" for each in (self.hold, self.keep))
        return replace(self, expr=scale_expression(self.expr, scale), hold=hold, keep=keep)

    def document(self, runbooks: str) -> dict[str, Any]:
        """The rule as Prometheus reads it; `runbooks` is their fixed address, if there is one."""
        service = {"service": self.service} if self.service else {}
        return {
            "alert": self.name,
            "expr": self.expr,
            **({"for": self.hold} if self.hold else {}),
            **({"keep_firing_for": self.keep} if self.keep else {}),
            "labels": {"severity": self.severity, **service, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": _address(runbooks, self.name, "runbooks"),
                **({"dashboard_url": _address("", self.board, "dashboards")} if self.board else {}),
            },
        }


def _address(fixed: str, page: str, label: str) -> str:
    """Return the address of `page`: below the fixed one, or below an external label of the Prometheus server.

    The same rules run on a laptop and in clusters. Empty where the server has no such label.
    """
    if fixed:
        return f"{fixed.rstrip('/')}/{page}"
    return f"{{{{ with $externalLabels.{label} }}}}{{{{ . }}}}/{page}{{{{ end }}}}"


@dataclass(frozen=True)
class Group:
    """Rules evaluated one after the other every `interval` (the server's own where empty)."""

    name: str
    rules: Sequence[Recording | Alert]
    interval: str = ""

    def scaled(self, scale: Fraction) -> Group:
        interval = scaled(self.interval, scale) if self.interval else ""
        return replace(self, rules=[rule.scaled(scale) for rule in self.rules], interval=interval)

    def document(self, runbooks: str) -> dict[str, Any]:
        """The group as Prometheus reads it."""
        interval = {"interval": self.interval} if self.interval else {}
        return {"name": self.name, **interval, "rules": [rule.document(runbooks) for rule in self.rules]}


def rule_file(groups: Sequence[Group], runbooks: str) -> dict[str, Any]:
    """A whole rule file."""
    return {"groups": [group.document(runbooks) for group in groups]}
