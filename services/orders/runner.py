"""Looks for orders whose step is due, and goes on with each in the trace in which it was placed."""

from __future__ import annotations

import logging

from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from services.faults.points import Faults, NoFaults
from services.messages.looking import LOOK_EVERY, Looking
from services.messages.tracing import within
from services.orders.sagas import Sagas

logger = logging.getLogger(__name__)


class Runner(Looking):
    """A thread of `orders`. Several processes may each have one: an order is given to one at a time.

    The fault point orders.due has an effect of its own: `forgotten: true` leaves what is due to nobody.
    """

    def __init__(self, sagas: Sagas, tracer: trace.Tracer, faults: Faults | None = None) -> None:
        self._sagas, self._tracer, self._faults = sagas, tracer, faults or NoFaults()
        super().__init__("sagas", lambda: 0.0 if self._work() else LOOK_EVERY)

    def _work(self) -> list[str]:
        """Go on with the orders that are due; which those were."""
        if self._faults.at("orders.due").get("forgotten"):
            return []
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
