"""What tests of a cluster ask the services, and how they find it again."""

from __future__ import annotations

import re
import ssl
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from exampleservices import QUOTE
from polling import until

if TYPE_CHECKING:
    from conftest import Cluster

SERVICES = {*QUOTE}
ORDERED = {"orders", "dealer", *QUOTE[1:]}
"""Those that an order goes through: from the request on, and on the other side of the broker."""
FOUND = 60.0
"""Seconds within which a request is to be found: sampling waits, and so do batches and scrapes."""


def quote(cluster: Cluster) -> str:
    """A page that crosses all services; the id of its trace."""
    answer = httpx.get(f"{cluster.web}/cars/bentz/e-class", params={"discount": "500"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return _trace_of(answer)


def order(cluster: Cluster) -> str:
    """An order that is confirmed; the id of the trace of the request that placed it."""
    return confirmed(cluster, place(cluster))


def place(cluster: Cluster) -> httpx.Response:
    """Order a car; the answer, which says where the order is.

    Again where the connection ends, as that of a forward does once its pod has gone: it is the same order.
    """
    car = {"maker": "bentz", "model": "e-class", "discount": 500}
    key = {"Idempotency-Key": uuid.uuid4().hex}
    ask = partial(httpx.post, f"{cluster.orders}/orders", json=car, headers=key, timeout=10)
    return until(lambda: ask().raise_for_status(), "an order to be taken", within=FOUND, every=1)


def confirmed(cluster: Cluster, placed: httpx.Response) -> str:
    """Wait until the order is confirmed; the id of the trace of the request that placed it."""
    until(
        lambda: state(cluster, placed) == "confirmed",
        lambda: f"the order to be confirmed; it is {state(cluster, placed)}",
        within=FOUND,
        every=0.5,
    )
    return _trace_of(placed)


def state(cluster: Cluster, placed: httpx.Response) -> str:
    """How far the order has come."""
    answer = httpx.get(f"{cluster.orders}{placed.headers['Location']}", timeout=10)
    return str(answer.raise_for_status().json()["state"])


def _trace_of(answer: httpx.Response) -> str:
    match = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-0[13]", answer.headers["traceresponse"])
    assert match, answer.headers["traceresponse"]
    return match[1]


def elasticsearch(
    cluster: Cluster, query: dict[str, Any], authority: Path | None = None, password: str = ""
) -> list[dict[str, Any]]:
    """The stored lines that a query finds, as Grafana's user may read them.

    Over TLS where an `authority` is named. Raises httpx.HTTPStatusError where it is refused.
    """
    address = cluster.elasticsearch
    if authority:
        address = address.replace("http://127.0.0.1", "https://localhost")
    answer = httpx.post(
        f"{address}/logs-dashcam*/_search",
        json={"query": query, "size": 100},
        auth=("grafana", password or cluster.secret("elasticsearch-users", "grafana")),
        timeout=10,
        verify=ssl.create_default_context(cafile=authority) if authority else True,
    ).raise_for_status()
    return [hit["_source"] for hit in answer.json()["hits"]["hits"]]


def down(cluster: Cluster) -> list[str]:
    """Prometheus' targets that cannot be reached, each with why."""
    answer = httpx.get(f"{cluster.prometheus}/api/v1/targets", params={"state": "active"}, timeout=10)
    targets = answer.raise_for_status().json()["data"]["activeTargets"]
    assert targets
    return [f"{each['scrapeUrl']}: {each['lastError']}" for each in targets if each["health"] != "up"]
