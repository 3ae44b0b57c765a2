"""Orders and their messages: how far orders have come, and where a message waits, fails or comes again."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.alerts.messages import BROKER
from dashboards.src.boards import red
from dashboards.src.boards.page import page
from dashboards.src.evidence import log_lines, trace_search
from dashboards.src.panels import (
    AMBER,
    BAD_ABOVE_ZERO,
    GREEN,
    RED,
    PanelBuilder,
    Query,
    graph,
    note,
    number,
    row,
)
from observability import schema
from services.messages import signals as messages
from services.orders import signals as orders

QUEUE = "messaging_destination_name"
GROUP = "messaging_consumer_group_name"
OBJECTIVE = '{slo="order-decided"}'
ALLOWED = f"(1 - slo:objective:ratio{OBJECTIVE})"
_HOW = """
**An order is confirmed or taken back, within 30 s.** *Undecided* ones get old: the step says where.
reserving, pricing, cancelling: `car`. confirming, withdrawing: the dealer, by message. Then follow the
message: it waits in the **outbox** (the broker is away or full), in the **queue** (its consumer is stopped or
slow), or it was taken and failed (**delivered again**, in the end a **dead letter**).
"""


def build() -> Dashboard:
    """The page of the orders and of the messages between services."""
    board = page(
        "orders",
        "Orders and messages",
        "Orders by step and age; messages sent, taken, repeated, given up.",
        logs=True,
        traces=True,
    )
    board.with_panel(note("How to read this page", _HOW, height=4))
    for panel in _numbers():
        board.with_panel(panel)
    parts = (
        ("Orders", _orders()),
        ("Messages on their way", _waiting()),
        ("Messages sent and taken", _moved()),
        ("Evidence", _evidence()),
    )
    for title, panels in parts:
        board.with_row(row(title))
        for panel in panels:
            board.with_panel(panel)
    return board.build()


def _numbers() -> list[PanelBuilder]:
    every = f"sum(rate({orders.DECIDED.sample}[{red.RATE}]))"
    duration = orders.DECISION_DURATION
    decided = f"sum(rate({duration.sample}[{red.RATE}]))"
    in_time = f'sum(rate({duration.name}_bucket{{le="30.0"}}[{red.RATE}]))'
    late = ((None, GREEN), (20, AMBER), (60, RED))
    return [
        number(
            "Orders decided a minute",
            "How much business there is.",
            "none",
            Query(f"60 * {every}", "orders"),
            decimals=1,
        ),
        number(
            "Decided within 30 s",
            "The objective's share, as it is now.",
            "percentunit",
            Query(f"{in_time} / ({decided} > 0)", "in time"),
            steps=((None, RED), (0.99, GREEN)),
        ),
        number(
            "Oldest undecided order",
            "Above a minute somebody is woken: nobody finishes it.",
            "s",
            Query(f"max({orders.UNDECIDED_AGE.sample})", "oldest"),
            steps=late,
        ),
        number(
            "Oldest message not sent",
            "In an outbox. Seconds: the broker is away or full.",
            "s",
            Query(f"max({messages.OUTBOX_OLDEST.sample})", "oldest"),
            steps=late,
        ),
        number(
            "Oldest message not taken",
            "In a queue. Seconds: a consumer is stopped or slow.",
            "s",
            Query(f"max({messages.QUEUE_OLDEST.sample})", "oldest"),
            steps=late,
        ),
        number(
            "Services with the broker",
            "1: each of them has a connection to it.",
            "none",
            Query(f'min({schema.DEPENDENCY_UP.sample}{{dependency="{BROKER}"}})', "connected"),
            steps=((None, RED), (1, GREEN)),
        ),
    ]


def _orders() -> list[PanelBuilder]:
    duration = orders.DECISION_DURATION
    return [
        graph(
            "Orders by outcome",
            "cancelled: taken back whole, because somebody said no or nobody answered in time.",
            "cps",
            Query(f"sum by (outcome) (rate({orders.DECIDED.sample}[{red.RATE}]))", "{{outcome}}"),
            stacked=True,
        ),
        graph(
            "Time to decide",
            "From the click to confirmed or cancelled; the objective counts those within 30 s.",
            "s",
            Query(red.quantile(0.5, "outcome", metric=duration), "p50 {{outcome}}"),
            Query(red.quantile(0.99, "outcome", metric=duration), "p99 {{outcome}}"),
        ),
        graph(
            "Undecided by step",
            "A step that fills is the one that does not go on.",
            "none",
            Query(f"sum by (step) ({orders.UNDECIDED.sample})", "{{step}}"),
            stacked=True,
            decimals=0,
        ),
        graph(
            "Oldest by step",
            "withdrawing and cancelling go on until they succeed: one that grows cannot be taken back.",
            "s",
            Query(f"max by (step) ({orders.UNDECIDED_AGE.sample})", "{{step}}"),
            steps=((None, GREEN), (60, RED)),
        ),
        graph(
            "Attempts by step",
            "Of the order that was tried most often. One is ordinary; compensations are tried for ever.",
            "none",
            Query(f"max by (step) ({orders.STEP_ATTEMPTS.sample})", "{{step}}"),
            decimals=0,
        ),
        graph(
            "Burn rate of the objective",
            "Above 14.4 for an hour somebody is woken.",
            "none",
            *(Query(f"slo:failures:ratio{window}{OBJECTIVE} / {ALLOWED}", window) for window in ("1h", "5m")),
            decimals=1,
        ),
    ]


def _waiting() -> list[PanelBuilder]:
    return [
        graph(
            "Outbox",
            "Messages that are stored and not yet sent. They stay while the broker is away or full.",
            "none",
            Query(f"max by (job) ({messages.OUTBOX_MESSAGES.sample})", "{{job}}"),
            decimals=0,
            width=6,
        ),
        graph(
            "Queues",
            "Messages at the broker that were not acknowledged, by who should take them.",
            "none",
            Query(
                f"max by ({QUEUE}, {GROUP}) ({messages.QUEUE_MESSAGES.sample})",
                f"{{{{{QUEUE}}}}} for {{{{{GROUP}}}}}",
            ),
            decimals=0,
            width=6,
        ),
        graph(
            "Oldest in outbox and queue",
            "Both fall to zero when all is taken. One that rises with the clock: nothing moves.",
            "s",
            Query(f"max by (job) ({messages.OUTBOX_OLDEST.sample})", "outbox of {{job}}"),
            Query(f"max by ({QUEUE}) ({messages.QUEUE_OLDEST.sample})", f"queue {{{{{QUEUE}}}}}"),
            steps=((None, GREEN), (30, RED)),
            width=6,
        ),
        graph(
            "Room at the broker",
            "The share of each stream that is taken; at 1 orders wait in the outbox.",
            "percentunit",
            Query(f"max by (stream) ({messages.STREAM_USED.sample})", "{{stream}}"),
            highest=1,
            steps=((None, GREEN), (0.8, RED)),
            width=6,
        ),
    ]


def _moved() -> list[PanelBuilder]:
    sent, taken = messages.SENT.sample, messages.CONSUMED.sample
    none_sent = red.named(f"0 * sum(rate({sent}[{red.RATE}]))", "error_type", "none")
    none_taken = red.named(f"0 * sum(rate({taken}[{red.RATE}]))", "reason", "none")
    again = f"sum by ({QUEUE}) (rate({messages.REDELIVERED.sample}[{red.RATE}]))"
    every = f"sum by ({QUEUE}) (rate({taken}[{red.RATE}]))"
    return [
        graph(
            "Sent",
            "Confirmed by the broker, by queue.",
            "cps",
            Query(red.rate(QUEUE, 'error_type=""', messages.SENT), f"{{{{{QUEUE}}}}}"),
        ),
        graph(
            "Taken",
            "By who takes them, repetitions included. Less than is sent for long: the queue grows.",
            "cps",
            Query(
                red.rate(f"{QUEUE}, {GROUP}", "", messages.CONSUMED), f"{{{{{QUEUE}}}}} by {{{{{GROUP}}}}}"
            ),
        ),
        graph(
            "Not sent",
            "BrokerAway: no answer. BrokerFull: no room. Each is tried again until it is confirmed.",
            "cps",
            Query(
                f'sum by (error_type) (rate({sent}{{error_type!=""}}[{red.RATE}])) or {none_sent}',
                "{{error_type}}",
            ),
        ),
        graph(
            "Delivered again",
            "The share of deliveries that came before: their processing failed, or took too long.",
            "percentunit",
            Query(f"{again} / ({every} > 0)", f"{{{{{QUEUE}}}}}"),
            steps=((None, GREEN), (0.5, RED)),
        ),
        graph(
            "Dead letters",
            "Given up. unreadable: a poison message. tried too often: it failed six times.",
            "cps",
            Query(
                f"sum by (reason) (rate({messages.DEAD_LETTERS.sample}[{red.RATE}])) or {none_taken}",
                "{{reason}}",
            ),
            steps=BAD_ABOVE_ZERO,
        ),
        graph(
            "Duration (p99)",
            "Of giving a message to the broker, and of processing one.",
            "s",
            Query(red.quantile(0.99, QUEUE, metric=messages.OPERATION_DURATION), f"send {{{{{QUEUE}}}}}"),
            Query(red.quantile(0.99, QUEUE, metric=messages.PROCESS_DURATION), f"process {{{{{QUEUE}}}}}"),
        ),
    ]


def _evidence() -> list[PanelBuilder]:
    return [
        log_lines(
            "Messages in the log",
            "Each that was sent or processed, or failed. A line's trace_id opens the order's trace.",
            "logger:services.messages*",
        ),
        trace_search(
            "Orders' traces",
            "The latest orders; a trace leads from the click over both messages to the confirmation.",
            service="orders",
            operation="POST /orders",
            limit=20,
        ),
    ]
