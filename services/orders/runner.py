"""Looks for orders whose step is due, and goes on with each in the trace in which it was placed."""

from __future__ import annotations

import logging
import threading

from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from services.messages.tracing import within
from services.orders.sagas import Sagas

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.5
"""Seconds between two looks. :meth:`Runner.wake` makes one at once."""


class Runner:
    """A thread of `orders`. Several processes may each have one: an order is given to one at a time."""

    def __init__(self, sagas: Sagas, tracer: trace.Tracer) -> None:
        self._sagas, self._tracer = sagas, tracer
        self._awake, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sagas", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Something is due at once."""
        self._awake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the order that is being worked on."""
        self._ended.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._awake.clear()
            found = self._work()
            if not found:
                self._awake.wait(LOOK_EVERY)

    def _work(self) -> list[str]:
        """Go on with the orders that are due; which those were."""
        try:
            with suppress_instrumentation():
                found = self._sagas.due()
        except Exception as error:
            logger.error("the orders that are due are not known: %s", error)
            return []
        for order in found:
            try:
                with suppress_instrumentation():
                    headers = self._sagas.store.headers(order)
                with within(self._tracer, "order due", headers, {"order.id": order}):
                    self._sagas.wake(order)
            except Exception as error:
                about = {"order.id": order}
                logger.error("an order that is due was not worked on: %s", error, extra=about)
        return found
