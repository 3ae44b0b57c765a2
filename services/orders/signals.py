"""What `orders` emits beside what the library and its messages do."""

from __future__ import annotations

from observability.schema import Field, Metric, Signals
from services.messages import signals as messages

DECIDED = Metric(
    "orders_decided",
    "counter",
    "Orders that came to their end, by outcome: confirmed or cancelled.",
    ("outcome",),
    "{order}",
)
DECISION_DURATION = Metric(
    "orders_decision_duration_seconds",
    "histogram",
    "From the placing of an order to its end.",
    ("outcome",),
    "s",
    (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0),
)
UNDECIDED = Metric(
    "orders_undecided", "gauge", "Orders on their way, by step.", ("step",), "{order}", across="max"
)
UNDECIDED_AGE = Metric(
    "orders_undecided_oldest_age_seconds",
    "gauge",
    "Age of the oldest order in this step; 0 without any.",
    ("step",),
    "s",
    across="max",
)
STEP_ATTEMPTS = Metric(
    "orders_step_attempts",
    "gauge",
    "Attempts of the order in this step that was tried most often; a compensation is tried for ever.",
    ("step",),
    "{attempt}",
    across="max",
)

SIGNALS = Signals(
    metrics=(DECIDED, DECISION_DURATION, UNDECIDED, UNDECIDED_AGE, STEP_ATTEMPTS, *messages.SIGNALS.metrics),
    log_fields=(
        Field("order.id", "string", "The order that a line is about."),
        Field("order.state", "string", "The state that it is in."),
        *messages.SIGNALS.log_fields,
    ),
    span_attributes=(
        Field("order.id", "string", "The order that a span works on."),
        *messages.SIGNALS.span_attributes,
    ),
)
