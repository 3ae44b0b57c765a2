"""What `dealer` emits beside what the library and its messages do."""

from __future__ import annotations

from observability.schema import Field, Signals
from services.messages import signals as messages

SIGNALS = Signals(
    metrics=messages.SIGNALS.metrics,
    log_fields=(Field("order.id", "string", "The order that a line is about."), *messages.SIGNALS.log_fields),
    span_attributes=messages.SIGNALS.span_attributes,
)
