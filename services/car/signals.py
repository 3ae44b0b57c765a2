"""What `car` emits beside what the library does: declared here, and held to it by a test."""

from __future__ import annotations

from observability.schema import Metric, Signals

QUOTES = Metric(
    "car_quotes",
    "counter",
    "Quotes asked for, by outcome: ok, rejected or unavailable.",
    ("outcome",),
    "{quote}",
)

SIGNALS = Signals(metrics=(QUOTES,))
