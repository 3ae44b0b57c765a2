"""Rate, errors and duration as PromQL: the expressions that several dashboards share.

`select` is the inside of a label selector, such as `job=~"$service"`; `by` the labels that are kept.
"""

from __future__ import annotations

from observability import schema

SERVER = schema.HTTP_SERVER_DURATION
CLIENT = schema.HTTP_CLIENT_DURATION
RATE = "$__rate_interval"
STEP = "$__interval"
"""From one point of a panel to the next: what is counted over it is counted once."""

FAILED = 'http_response_status_code=~"5.."'
UNANSWERED = 'http_response_status_code=~"5..|"'
"""Of an outgoing call: answered with 500 to 599, or not at all, which leaves the status empty."""


def _select(*parts: str) -> str:
    inside = ",".join(part for part in parts if part)
    return f"{{{inside}}}" if inside else ""


def rate(by: str, select: str = "", metric: schema.Metric = SERVER) -> str:
    """Requests a second."""
    return f"sum by ({by}) (rate({metric.sample}{_select(select)}[{RATE}]))"


def error_ratio(by: str, select: str = "") -> str:
    """The share of requests answered with 500 to 599; 0 where none failed, absent where nobody asked."""
    every = rate(by, select)
    failed = f"sum by ({by}) (rate({SERVER.sample}{_select(select, FAILED)}[{RATE}]))"
    return f"({failed} or 0 * {every}) / ({every} > 0)"


def quantile(q: float, by: str, select: str = "", metric: schema.Metric = SERVER) -> str:
    """The duration that the share `q` of requests stays below, in seconds."""
    return f"histogram_quantile({q}, sum by ({by}, le) (rate({metric.name}_bucket{_select(select)}[{RATE}])))"


def saturation(by: str, select: str = "") -> str:
    """Busy threads over all threads."""
    chosen = _select(select)
    return (
        f"sum by ({by}) ({schema.HTTP_SERVER_ACTIVE.sample}{chosen}) "
        f"/ sum by ({by}) ({schema.SERVER_THREADS.sample}{chosen})"
    )


def call_failures(by: str, select: str = "") -> str:
    """The share of outgoing requests without an answer, or answered with 500 to 599."""
    every = rate(by, select, CLIENT)
    failed = f"sum by ({by}) (rate({CLIENT.sample}{_select(select, UNANSWERED)}[{RATE}]))"
    return f"({failed} or 0 * {every}) / ({every} > 0)"


def named(expression: str, label: str, value: str) -> str:
    """The expression with `label` set to `value`, so that a legend of that label has a name for it."""
    return f'label_replace({expression}, "{label}", "{value}", "", "")'
