"""The client of `car`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import urllib3

from services.web.asking import Changed, Client, Misbehaved
from services.web.catalogue import Car, Listing, MakerCount, Quote

ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')
"""An entity tag (RFC 9110, 8.8.3) that can be sent as it is."""


@dataclass(frozen=True)
class Versioned:
    """A car and the entity tag of the version that was read."""

    car: Car
    etag: str


class CarClient(Client):
    """Asks `car` at `base_url`. One instance serves all threads of a process."""

    def cars(self, filters: Mapping[str, str]) -> Listing:
        """One page of the catalogue. `filters` are query parameters of `GET /cars`."""
        answer = self._json(self._read(f"/cars?{urlencode(filters)}" if filters else "/cars"))
        try:
            following = answer.get("next")
            cursor = parse_qs(urlsplit(following).query)["cursor"][0] if following else None
            return Listing(
                cars=tuple(Car.from_json(each) for each in answer["cars"]),
                total=int(answer["total"]),
                makers=tuple(MakerCount(m["maker"], int(m["count"])) for m in answer.get("makers", [])),
                next_cursor=cursor,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Misbehaved("The car service sent a list that cannot be read.") from error

    def car(self, maker: str, model: str) -> Versioned:
        """One car with its entity tag. Raises NotFound."""
        return self._versioned(self._read(_path(maker, model)))

    def quote(self, maker: str, model: str, discount: int) -> Quote:
        """The price of a car less `discount`. Raises Rejected for a discount that cannot be given."""
        answer = self._json(self._read(f"{_path(maker, model)}/quote?discount={discount}"))
        try:
            return Quote(answer["price"], answer["discount"], answer["total"], answer["currency"])
        except (KeyError, TypeError) as error:
            raise Misbehaved("The car service sent a quote that cannot be read.") from error

    def create(self, car: Mapping[str, Any]) -> Car:
        """Add a car. Raises Exists where its maker and model are taken, Rejected for bad input."""
        return self._versioned(self._write("POST", "/cars", car)).car

    def replace(self, maker: str, model: str, car: Mapping[str, Any], etag: str) -> Car:
        """Replace the version of a car that `etag` names. Raises Changed when it is not the current one."""
        return self._versioned(self._write("PUT", _path(maker, model), car, etag)).car

    def delete(self, maker: str, model: str, etag: str) -> None:
        """Delete the version of a car that `etag` names. Raises Changed when it is not the current one."""
        self._write("DELETE", _path(maker, model), None, etag)

    # -- how a question is asked ------------------------------------------------------------------

    def _write(
        self, method: str, path: str, car: Mapping[str, Any] | None, etag: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        headers = {}
        if etag is not None:
            if not ETAG.fullmatch(etag):
                raise Changed("The form does not say which version of the car it was made from.")
            headers["If-Match"] = etag
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if car is not None:
            headers["Content-Type"] = "application/json"
        body = None if car is None else json.dumps(car).encode()
        return self._ask(method, path, headers, body, attempts=1)

    def _versioned(self, response: urllib3.BaseHTTPResponse) -> Versioned:
        try:
            return Versioned(Car.from_json(self._json(response)), response.headers.get("ETag", ""))
        except (KeyError, TypeError, ValueError) as error:
            raise Misbehaved("The car service sent a car that cannot be read.") from error


def _path(maker: str, model: str) -> str:
    return f"/cars/{quote(maker, safe='')}/{quote(model, safe='')}"
