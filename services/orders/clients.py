"""The client of `car`: each call once, within its limit. Trying again is the business of the saga."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from observability.version import VERSION
from services.orders.catalogue import Away, Refused

REFUSALS = frozenset({404, 409, 422})
"""Statuses that say no for good. All others but success leave it open whether anything happened."""


class CarClient:
    """`car` at `url`; may be shared by threads. `timeout` (seconds) bounds a call."""

    def __init__(self, url: str, *, timeout: float, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)
        self._timeout = timeout
        self._headers = {"Accept": "application/json", "User-Agent": f"dashcam-orders/{VERSION}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def reserve(self, maker: str, model: str, order: str) -> None:
        """Reserve a car under the order's id, once. Raises Refused or Away."""
        self._ask("POST", f"{_path(maker, model)}/reservations", {"id": order})

    def price(self, maker: str, model: str, discount: int) -> tuple[int, str]:
        """What the car costs after the discount, and the currency. Raises Refused or Away."""
        answer = self._ask("GET", f"{_path(maker, model)}/quote?discount={discount}")
        try:
            return int(answer["total"]), str(answer["currency"])
        except (KeyError, TypeError, ValueError) as error:
            raise Away("car sent a quote that cannot be read") from error

    def cancel(self, maker: str, model: str, order: str) -> None:
        """Cancel the reservation under the order's id, whether it was made or not. Raises Refused or Away."""
        self._ask("DELETE", f"{_path(maker, model)}/reservations/{quote(order, safe='')}")

    def _ask(self, method: str, path: str, document: Any = None) -> Any:
        headers, body = self._headers, None
        if document is not None:
            headers, body = {**headers, "Content-Type": "application/json"}, json.dumps(document)
        try:
            response = self._pool.request(
                method,
                self._url + path,
                headers=headers,
                body=body,
                timeout=urllib3.Timeout(total=self._timeout),
                redirect=False,
            )
        except (HTTPError, OSError) as error:
            raise Away(f"car does not answer at {self._url}: {error}") from error
        return _read(response)


def _read(response: urllib3.BaseHTTPResponse) -> Any:
    try:
        document = json.loads(response.data) if response.data else {}
    except ValueError:
        document = {}
    if 200 <= response.status < 300:
        return document
    detail = document.get("detail") if isinstance(document, dict) else None
    if response.status in REFUSALS:
        raise Refused(str(detail or f"car answered {response.status}"))
    raise Away(f"car answered {response.status}: {detail or 'without a reason'}")


def _path(maker: str, model: str) -> str:
    return f"/cars/{quote(maker, safe='')}/{quote(model, safe='')}"
