"""The client of `minus`.

A call ends within its deadline whatever `minus` does: each attempt has a time limit, failures that may
pass are tried again with growing, random pauses as long as the deadline allows (subtracting changes
nothing, so asking twice is safe), and after several failed calls in a row a circuit breaker refuses
further ones at once until `minus` has had time to recover. An answer whose body trickles in is given
up at the first byte after its attempt's limit, so at most one more limit later. (Headers that trickle in
are bounded only byte by byte; no server that means well sends them so.)
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pybreaker
import urllib3
from urllib3.exceptions import HTTPError

logger = logging.getLogger(__name__)

PASSING = frozenset({429, 502, 503, 504})
"""Statuses that say «not now» rather than «wrong»."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""
FIRST_PAUSE = 0.05
"""Seconds before the second attempt, doubled for each further one; a random half of it is left out."""


class MinusError(Exception):
    """There is no difference to be had. `retry_after` (seconds) says when asking again makes sense."""

    retry_after = 1


class Away(MinusError):
    """`minus` does not answer, or says that it cannot now."""


class CircuitOpen(Away):
    """`minus` was not asked, because it has kept failing."""


class Wrong(MinusError):
    """`minus` answers, and the answer cannot be used."""


@dataclass(frozen=True)
class Limits:
    """How long and how often to try; times in seconds. See `services.car.settings` for the meaning."""

    timeout: float
    deadline: float
    attempts: int
    failures: int
    recovery: float


class Minus:
    """Asks `minus` at `url` for differences; may be shared by threads.

    `on_circuit` is called with True when the circuit opens and with False when it closes. `clock`,
    `sleep` and `chance` (a number in [0, 1)) are there for tests.
    """

    def __init__(
        self,
        url: str,
        limits: Limits,
        *,
        on_circuit: Callable[[bool], None] = lambda is_open: None,
        connections: int = 10,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._url = url.rstrip("/") + "/minus"
        self._limits = limits
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)
        self._clock, self._sleep, self._chance = clock, sleep, chance
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=limits.failures,
            reset_timeout=limits.recovery,
            listeners=[_Circuit(on_circuit)],
            throw_new_error_on_trip=False,
        )

    def difference(self, x: int, y: int) -> int:
        """x - y. Raises Away or Wrong, within the deadline."""
        try:
            # Not `call`, which holds the breaker's lock for as long as `minus` takes: one request at a time.
            with self._breaker.calling():
                return self._persist({"x": str(x), "y": str(y)})
        except pybreaker.CircuitBreakerError:
            refusal = CircuitOpen("minus kept failing and is not asked until it has had time to recover")
            refusal.retry_after = max(1, round(self._limits.recovery))
            raise refusal from None

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._pool.clear()

    def _persist(self, fields: dict[str, str]) -> int:
        end = self._clock() + self._limits.deadline
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return self._ask(fields, end)
            except Away as error:
                pause = FIRST_PAUSE * 2 ** (attempt - 1) * (1 - self._chance() / 2)
                if attempt == self._limits.attempts or self._clock() + pause >= end:
                    raise
                logger.info("minus is asked again in %.3f s: %s", pause, error)
                self._sleep(pause)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _ask(self, fields: dict[str, str], end: float) -> int:
        start = self._clock()
        limit = max(0.001, min(self._limits.timeout, end - start))
        try:
            response = self._pool.request(
                "GET",
                self._url,
                fields=fields,
                headers={"Accept": "application/json"},
                timeout=urllib3.Timeout(total=limit),
                preload_content=False,
                redirect=False,
                retries=False,
            )
            try:
                body = self._read(response, start + limit)
            except BaseException:
                response.close()  # unread: the connection cannot be used again
                raise
        except (HTTPError, OSError) as error:
            raise Away(f"minus cannot be reached at {self._url}: {error}") from error
        response.release_conn()
        return _result(response.status, body)

    def _read(self, response: urllib3.BaseHTTPResponse, end: float) -> bytes:
        body = bytearray()
        while chunk := response.read1(MAX_ANSWER):
            body += chunk
            if len(body) > MAX_ANSWER:
                raise Wrong(f"minus answered with more than {MAX_ANSWER} bytes")
            if self._clock() > end:
                raise Away("minus began an answer and did not end it in time")
        return bytes(body)


class _Circuit(pybreaker.CircuitBreakerListener):
    def __init__(self, on_circuit: Callable[[bool], None]) -> None:
        self._on_circuit = on_circuit

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        # Half-open lets a trial through; the circuit counts as open until that trial has succeeded.
        if new_state.name != pybreaker.STATE_HALF_OPEN:
            self._on_circuit(new_state.name == pybreaker.STATE_OPEN)
            logger.warning("the circuit to minus is %s", new_state.name)


def _result(status: int, body: bytes) -> int:
    if status in PASSING:
        raise Away(f"minus answered {status}")
    if status != 200:
        raise Wrong(f"minus answered {status}: {_begin(body)}")
    try:
        result = json.loads(body)["result"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Wrong(f"minus answered without a result: {_begin(body)}") from None
    if not isinstance(result, int) or isinstance(result, bool):
        raise Wrong(f"minus answered a result that is no whole number: {_begin(body)}")
    return result


def _begin(body: bytes) -> str:
    """The begin of an answer as a person reads it, in quotes."""
    return repr(body[:200].decode("utf-8", "replace"))
