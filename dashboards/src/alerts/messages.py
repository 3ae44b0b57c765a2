"""Alerts about orders and their messages: the symptom pages, and tickets name where it is stuck."""

from __future__ import annotations

from dashboards.src.addresses import opening
from dashboards.src.counters import grown
from dashcam.slo.rules import Alert, Group
from observability import schema
from services.messages import signals as messages
from services.orders import signals as orders
from services.orders.catalogue import COMPENSATIONS
from services.orders.sagas import FAILING

BROKER = "broker"
"""What the broker is called in services/catalogue.yaml, and so in `dependency`."""

_QUEUE = "messaging_destination_name, messaging_consumer_group_name"
_CONSUMED = f"sum by ({_QUEUE}) ({grown(messages.CONSUMED.sample, '2m')})"
_OLDEST = f"max by ({_QUEUE}) ({messages.QUEUE_OLDEST.sample})"
_GROUP = "{{ $labels.messaging_consumer_group_name }}"
_DESTINATION = "{{ $labels.messaging_destination_name }}"


def groups() -> list[Group]:
    """One group: orders that nobody decides, and queue, consumer or broker behind it."""
    rules = [*_orders(), *_queues(), *_repeated(), *_broker()]
    return [Group("messages", opening("orders", rules), "15s")]


def _orders() -> list[Alert]:
    return [
        Alert(
            name="OrdersUndecided",
            severity="page",
            expr=f"max by (job, step) ({orders.UNDECIDED_AGE.sample}) > 60",
            hold="30s",
            service="{{ $labels.job }}",
            summary=(
                "An order has been on its way for {{ $value | humanizeDuration }}, "
                "and is {{ $labels.step }} now."
            ),
            description=(
                "Orders are decided within 30 s; none may take longer than its deadline and the time to take "
                "it back."
            ),
        ),
        Alert(
            name="CompensationFailing",
            severity="ticket",
            expr=(
                "max by (job, step) "
                f'({orders.STEP_ATTEMPTS.sample}{{step=~"{"|".join(COMPENSATIONS)}"}}) >= {FAILING}'
            ),
            hold="1m",
            service="{{ $labels.job }}",
            summary="An order is {{ $labels.step }} for the {{ $value | humanize }}th time.",
            description="What it did cannot be taken back: it is neither confirmed nor whole again.",
        ),
        Alert(
            name="OutboxWaiting",
            severity="ticket",
            expr=f"max by (job) ({messages.OUTBOX_OLDEST.sample}) > 30",
            hold="1m",
            service="{{ $labels.job }}",
            summary="A message of {{ $labels.job }} has waited {{ $value | humanizeDuration }} to be sent.",
            description="It is stored with what it says, but the broker has not confirmed it.",
        ),
    ]


def _queues() -> list[Alert]:
    return [
        Alert(
            name="ConsumerStopped",
            severity="ticket",
            expr=f"{_OLDEST} > 30\nunless\n{_CONSUMED} > 0",
            hold="1m",
            service=_GROUP,
            summary=f"{_GROUP} takes no messages of {_DESTINATION}.",
            description=(
                "The oldest has waited {{ $value | humanizeDuration }}, and none was taken for two minutes."
            ),
        ),
        Alert(
            name="ConsumerSlow",
            severity="ticket",
            expr=f"{_OLDEST} > 15\nand\n{_CONSUMED} > 0",
            hold="2m",
            service=_GROUP,
            summary=f"{_GROUP} does not keep up with {_DESTINATION}.",
            description="It takes messages, but the oldest has waited {{ $value | humanizeDuration }}.",
        ),
    ]


def _repeated() -> list[Alert]:
    again = f"sum by ({_QUEUE}) ({grown(messages.REDELIVERED.sample, '5m')})"
    every = f"sum by ({_QUEUE}) ({grown(messages.CONSUMED.sample, '5m')})"
    letters = f"sum by ({_QUEUE}, reason) ({grown(messages.DEAD_LETTERS.sample, '10m')})"
    return [
        Alert(
            name="RedeliveryStorm",
            severity="ticket",
            expr=f"{again} / ({every} >= 20) > 0.5",
            hold="1m",
            service=_GROUP,
            summary=(
                "{{ $value | humanizePercentage }} of what " + f"{_GROUP} gets of {_DESTINATION} came before."
            ),
            description="Its messages fail, or are processed too slowly to be acknowledged, and come again.",
        ),
        Alert(
            name="DeadLetters",
            severity="ticket",
            expr=f"{letters} > 0",
            service=_GROUP,
            summary=(
                _GROUP + " gave up {{ $value | humanize }} messages of "
                f"{_DESTINATION}, {{{{ $labels.reason }}}}."
            ),
            description="They are kept for a week under the queue's name with dead. before it.",
        ),
    ]


def _broker() -> list[Alert]:
    refused = f'{messages.SENT.sample}{{error_type="BrokerFull"}}'
    connected = f'{schema.DEPENDENCY_UP.sample}{{dependency="{BROKER}"}}'
    return [
        Alert(
            name="BrokerAway",
            severity="page",
            # One for all services: the broker is one. An instance that has no connection is no reason yet.
            expr=f"min by (dependency) (max by (job, dependency) ({connected})) == 0",
            hold="30s",
            service=BROKER,
            summary="The message broker cannot be reached.",
            description="A service has no connection to it: orders are taken, and wait to be decided.",
        ),
        Alert(
            name="BrokerFull",
            severity="page",
            expr=f"sum by (messaging_system) ({grown(refused, '2m')}) > 0",
            service=BROKER,
            labels={"dependency": BROKER},
            summary="The message broker refuses messages for want of room.",
            description="They wait where they come from: orders are taken, and wait to be decided.",
        ),
        Alert(
            name="BrokerFilling",
            severity="ticket",
            expr=f"max by (stream) ({messages.STREAM_USED.sample}) > 0.8",
            hold="1m",
            service=BROKER,
            summary="The stream {{ $labels.stream }} is {{ $value | humanizePercentage }} full.",
            description="A full stream of orders refuses messages, one of dead letters drops its oldest.",
        ),
    ]
