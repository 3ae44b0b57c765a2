"""The PromQL that the pages ask, from the declared families of `observability.schema` only.

`job` is the service. A window is a number of seconds; a quantile's answer is in seconds.
"""

from __future__ import annotations

from observability import schema

ERRORS = 'http_response_status_code=~"5.."'
"""A server's failures: the client's own mistakes (4xx) are answers, not failures."""

SLO_BUDGET = "slo:budget_left:ratio"
"""Recorded by the rules of `dashboards/`: the share of the error budget left, by `service` and `slo`."""


def quoted(value: str) -> str:
    """A value as PromQL writes a string."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def selector(name: str, *conditions: str) -> str:
    """A selector of the series called `name`."""
    inner = ",".join(condition for condition in conditions if condition)
    return f"{name}{{{inner}}}" if inner else name


def of_service(service: str, route: str = "") -> tuple[str, ...]:
    """The conditions that pick a service, and one of its routes."""
    conditions = [f"job={quoted(service)}"] if service else []
    return tuple(conditions + ([f"http_route={quoted(route)}"] if route else []))


def rate(name: str, window: float, *conditions: str, by: str = "job") -> str:
    """How many a second, summed."""
    return f"sum by ({by}) (rate({selector(name, *conditions)}[{window:.0f}s]))"


def requests(window: float, *conditions: str, by: str = "job") -> str:
    """Requests a second."""
    return rate(schema.HTTP_SERVER_DURATION.sample, window, *conditions, by=by)


def error_ratio(window: float, *conditions: str, by: str = "job") -> str:
    """The share of requests that failed: 0 where there were requests and none failed."""
    every = requests(window, *conditions, by=by)
    return f"({requests(window, *conditions, ERRORS, by=by)} or 0 * {every}) / {every}"


def quantile(q: float, window: float, *conditions: str, by: str = "job") -> str:
    """A quantile of the duration of requests."""
    return quantile_of(schema.HTTP_SERVER_DURATION, q, window, *conditions, by=by)


def quantile_of(family: schema.Metric, q: float, window: float, *conditions: str, by: str = "job") -> str:
    """A quantile of a declared histogram."""
    buckets = rate(f"{family.name}_bucket", window, *conditions, by=f"{by}, le")
    return f"histogram_quantile({q}, {buckets})"


def saturation(*conditions: str, by: str = "job") -> str:
    """Requests in flight as a share of the threads that can answer them."""
    active = selector(schema.HTTP_SERVER_ACTIVE.name, *conditions)
    threads = selector(schema.SERVER_THREADS.name, *conditions)
    return f"sum by ({by}) ({active}) / sum by ({by}) ({threads})"


def summed(name: str, *conditions: str, by: str = "job") -> str:
    """A gauge, summed."""
    return f"sum by ({by}) ({selector(name, *conditions)})"
