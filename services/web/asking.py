"""Asks a service: every question has a time limit, reads are repeated once or twice, errors are typed.

    ServiceError           what a service or the way to it did not give; `status` is what a page answers then
    ├── Away          503  no connection, or the service says that it cannot serve now
    ├── Slow          504  no answer within the time limit
    ├── Misbehaved    502  an answer that makes no sense, a failure inside, or a refused write token
    ├── Busy          429  the service asks to come back later
    ├── NotFound      404  there is no such thing
    ├── Exists        409  there is one already
    ├── Changed       412  it is not what was read: somebody changed or deleted it
    └── Rejected      422  the service refuses the input; `errors` names the fields

Only reads are repeated, and only where no answer came at all: a service has its own patience with what stands
behind it, and repeating its answers would multiply the load of a bad moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import urllib3
from urllib3 import exceptions

from observability.version import VERSION
from services.web.catalogue import Complaint

ATTEMPTS = 3
"""How often a read is tried when no connection comes about or it breaks before an answer."""

PAUSE = 0.05
"""Seconds before the second attempt; the third waits twice as long."""

CONNECT_SECONDS = 1.0
"""How long one attempt waits for a connection: a live host answers far sooner."""


class ServiceError(Exception):
    """A service gave no usable answer. `str()` says what happened; `retry_after` is a Retry-After header.

    `service` is the one that did not.
    """

    status: ClassVar[int] = 502
    service = "car"

    def __init__(
        self, detail: str, errors: tuple[Complaint, ...] = (), retry_after: str | None = None
    ) -> None:
        super().__init__(detail)
        self.errors = errors
        self.retry_after = retry_after


class Away(ServiceError):
    """No connection, or the service says that it cannot serve now."""

    status = 503


class Slow(ServiceError):
    """No answer within the time limit."""

    status = 504


class Misbehaved(ServiceError):
    """An answer that makes no sense, a failure inside, or a refused write token."""


class Busy(ServiceError):
    """The service asks to come back later."""

    status = 429


class NotFound(ServiceError):
    """There is no such thing."""

    status = 404


class Exists(ServiceError):
    """There is one already."""

    status = 409


class Changed(ServiceError):
    """It is not what was read: somebody changed or deleted it meanwhile."""

    status = 412


class Rejected(ServiceError):
    """The service refuses the input; `errors` names the fields."""

    status = 422


KINDS: Mapping[int, type[ServiceError]] = {
    400: Rejected,
    404: NotFound,
    409: Exists,
    412: Changed,
    422: Rejected,
    429: Busy,
    503: Away,
    504: Slow,
}
"""What the statuses of a service mean here; every other one that is no success is Misbehaved."""


class Client:
    """Asks the service called `service` at `base_url`. One instance serves all threads of a process."""

    service = "car"

    def __init__(self, base_url: str, *, token: str | None = None, timeout: float = 5.0) -> None:
        self._base = base_url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._pool = urllib3.PoolManager(maxsize=16, retries=False)

    def _read(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._ask("GET", path, {}, None, ATTEMPTS)

    def _failure(self, kind: type[ServiceError], detail: str, *more: Any) -> ServiceError:
        error = kind(detail, *more)
        error.service = self.service
        return error

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
                raise self._failure(
                    Slow, f"The {self.service} service gave no answer within {self._timeout:g} seconds."
                ) from error
            except exceptions.HTTPError as error:
                pause = PAUSE * attempt
                if attempt == attempts or time.monotonic() + pause >= deadline:
                    raise self._failure(Away, f"The {self.service} service cannot be reached.") from error
                time.sleep(pause)
            else:
                return self._succeeded(response)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _json(self, response: urllib3.BaseHTTPResponse) -> dict[str, Any]:
        try:
            answer = json.loads(response.data)
        except ValueError as error:
            said = f"The {self.service} service sent an answer that is not JSON."
            raise self._failure(Misbehaved, said) from error
        if not isinstance(answer, dict):
            raise self._failure(Misbehaved, f"The {self.service} service sent JSON that is no object.")
        return answer

    def _succeeded(self, response: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        """The response itself when it is a success; otherwise the error that its status and problem mean."""
        if 200 <= response.status < 300:
            return response
        if response.status in (401, 403):
            raise self._failure(
                Misbehaved,
                f"The {self.service} service refused the change: the write token of web is missing or wrong. "
                "Give both services the same CAR_WRITE_TOKEN.",
            )
        problem = _problem(response.data)
        kind = KINDS.get(response.status, Misbehaved)
        detail = (
            problem.get("detail")
            or problem.get("title")
            or f"The {self.service} service answered {response.status}."
        )
        listed = problem.get("errors")
        errors = tuple(
            Complaint(str(each.get("field", "")), str(each.get("detail", "")))
            for each in (listed if isinstance(listed, list) else ())
            if isinstance(each, dict)
        )
        raise self._failure(kind, str(detail), errors, response.headers.get("Retry-After"))


def _problem(body: bytes) -> dict[str, Any]:
    """The RFC 9457 problem of an answer; empty when it holds none, whatever else it holds."""
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}
