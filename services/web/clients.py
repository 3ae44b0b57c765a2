"""The client of `car`: every question has a time limit, reads are repeated once or twice, errors are typed.

    CarError               what `car` or the way to it did not give; `status` is what a page answers then
    ├── CarAway       503  no connection, or `car` says that it cannot serve now
    ├── CarSlow       504  no answer within the time limit
    ├── CarMisbehaved 502  an answer that makes no sense, a failure inside `car`, or a refused write token
    ├── CarBusy       429  `car` asks to come back later
    ├── NotFound      404  there is no such car
    ├── Exists        409  there is one already
    ├── Changed       412  the car is not the one that was read: somebody changed or deleted it
    └── Rejected      422  `car` refuses the input; `errors` names the fields

Only reads are repeated, and only where no answer came at all: `car` has its own patience with what stands
behind it, and repeating its answers would multiply the load of a bad moment.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import urllib3
from urllib3 import exceptions

from observability.version import VERSION
from services.web.catalogue import Car, Complaint, Listing, MakerCount, Quote

ATTEMPTS = 3
"""How often a read is tried when no connection comes about or it breaks before an answer."""

PAUSE = 0.05
"""Seconds before the second attempt; the third waits twice as long."""

CONNECT_SECONDS = 1.0
"""How long one attempt waits for a connection: a live host answers far sooner."""

ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')
"""An entity tag (RFC 9110, 8.8.3) that can be sent as it is."""


class CarError(Exception):
    """`car` gave no usable answer. `str()` says what happened; `retry_after` is a Retry-After header."""

    status: ClassVar[int] = 502

    def __init__(
        self, detail: str, errors: tuple[Complaint, ...] = (), retry_after: str | None = None
    ) -> None:
        super().__init__(detail)
        self.errors = errors
        self.retry_after = retry_after


class CarAway(CarError):
    """No connection, or `car` says that it cannot serve now."""

    status = 503


class CarSlow(CarError):
    """No answer within the time limit."""

    status = 504


class CarMisbehaved(CarError):
    """An answer that makes no sense, a failure inside `car`, or a refused write token."""


class CarBusy(CarError):
    """`car` asks to come back later."""

    status = 429


class NotFound(CarError):
    """There is no such car."""

    status = 404


class Exists(CarError):
    """There is such a car already."""

    status = 409


class Changed(CarError):
    """The car is not the one that was read: somebody changed or deleted it meanwhile."""

    status = 412


class Rejected(CarError):
    """`car` refuses the input; `errors` names the fields."""

    status = 422


KINDS: Mapping[int, type[CarError]] = {
    400: Rejected,
    404: NotFound,
    409: Exists,
    412: Changed,
    422: Rejected,
    429: CarBusy,
    503: CarAway,
    504: CarSlow,
}
"""What the statuses of `car` mean here; every other one that is no success is CarMisbehaved."""


@dataclass(frozen=True)
class Versioned:
    """A car and the entity tag of the version that was read."""

    car: Car
    etag: str


class CarClient:
    """Asks `car` at `base_url`. One instance serves all threads of a process."""

    def __init__(self, base_url: str, *, token: str | None = None, timeout: float = 5.0) -> None:
        self._base = base_url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)

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
            raise CarMisbehaved("The car service sent a list that cannot be read.") from error

    def car(self, maker: str, model: str) -> Versioned:
        """One car with its entity tag. Raises NotFound."""
        return self._versioned(self._read(_path(maker, model)))

    def quote(self, maker: str, model: str, discount: int) -> Quote:
        """The price of a car less `discount`. Raises Rejected for a discount that cannot be given."""
        answer = self._json(self._read(f"{_path(maker, model)}/quote?discount={discount}"))
        try:
            return Quote(answer["price"], answer["discount"], answer["total"], answer["currency"])
        except (KeyError, TypeError) as error:
            raise CarMisbehaved("The car service sent a quote that cannot be read.") from error

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

    def _read(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._ask("GET", path, {}, None, ATTEMPTS)

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

    def _ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None, attempts: int
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": f"dashcam-web/{VERSION}", **headers}
        deadline = time.monotonic() + self._timeout
        for attempt in range(1, attempts + 1):
            left = max(deadline - time.monotonic(), 0.001)
            limit = urllib3.Timeout(connect=min(CONNECT_SECONDS, left), total=left)
            try:
                response = self._pool.request(
                    method, self._base + path, headers=headers, body=body, timeout=limit, redirect=False
                )
            except exceptions.ReadTimeoutError as error:
                raise CarSlow(f"The car service gave no answer within {self._timeout:g} seconds.") from error
            except exceptions.HTTPError as error:
                pause = PAUSE * attempt
                if attempt == attempts or time.monotonic() + pause >= deadline:
                    raise CarAway("The car service cannot be reached.") from error
                time.sleep(pause)
            else:
                return _succeeded(response)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _versioned(self, response: urllib3.BaseHTTPResponse) -> Versioned:
        try:
            return Versioned(Car.from_json(self._json(response)), response.headers.get("ETag", ""))
        except (KeyError, TypeError, ValueError) as error:
            raise CarMisbehaved("The car service sent a car that cannot be read.") from error

    @staticmethod
    def _json(response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        try:
            answer = json.loads(response.data)
        except ValueError as error:
            raise CarMisbehaved("The car service sent an answer that is not JSON.") from error
        if not isinstance(answer, dict):
            raise CarMisbehaved("The car service sent JSON that is no object.")
        return answer


def _path(maker: str, model: str) -> str:
    return f"/cars/{quote(maker, safe='')}/{quote(model, safe='')}"


def _succeeded(response: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
    """The response itself when it is a success; otherwise the error that its status and problem mean."""
    if 200 <= response.status < 300:
        return response
    if response.status in (401, 403):
        raise CarMisbehaved(
            "The car service refused the change: the write token of web is missing or wrong. "
            "Give both services the same CAR_WRITE_TOKEN."
        )
    problem = _problem(response.data)
    kind = KINDS.get(response.status, CarMisbehaved)
    detail = problem.get("detail") or problem.get("title") or f"The car service answered {response.status}."
    listed = problem.get("errors")
    errors = tuple(
        Complaint(str(each.get("field", "")), str(each.get("detail", "")))
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    )
    raise kind(str(detail), errors, response.headers.get("Retry-After"))


def _problem(body: bytes) -> dict[str, Any]:
    """The RFC 9457 problem of an answer; empty when it holds none, whatever else it holds."""
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
