"""Messages in small recordings made by hand: what is named of queues and brokers, and what is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from unit.diagnose.made import series, span, trace

from dashcam.diagnose import verdict
from dashcam.diagnose.findings import Cause
from dashcam.diagnose.observe import Observed, parted
from dashcam.model.traces import Reference
from dashcam.sources import LogLine, Series, Trace

END = 120.0
SYSTEMS = ("nats", "kafka", "rabbitmq")


@dataclasses.dataclass(frozen=True)
class Message:
    """One message: sent at `at`, taken `wait` seconds later (None: never), as often as `took` is long."""

    at: float
    wait: float | None = 0.01
    took: Sequence[float] = (0.02,)
    errors: Sequence[str] = ("",)
    refused: str = ""
    cut: bool = False


def traces(messages: Sequence[Message], system: str = "nats") -> list[Trace]:
    """What the messages leave: ids and parents as in NATS, links as in Kafka, an exchange as in RabbitMQ."""
    made = []
    for number, one in enumerate(messages):
        sent_to, taken_from = ("shop:paid", "invoices") if system == "rabbitmq" else ("paid", "paid")
        known: dict[str, Any] = {"messaging_system": system, "server_address": "mq", "server_port": 9000}
        if system != "kafka":
            known["messaging_message_id"] = f"m{number}"
        sending = span(
            "shop", f"send {sent_to}", one.at, 0.005, kind="producer", error=one.refused,
            messaging_destination_name=sent_to, messaging_operation_type="send", **known,
        )  # fmt: skip
        deliveries: list[Any] = []
        begin = one.at + 0.005 + (one.wait or 0.0)
        for index, took in enumerate(one.took if one.wait is not None and not one.refused else ()):
            error = one.errors[index % len(one.errors)]
            delivery = span(
                "billing", f"process {taken_from}", begin, took, kind="consumer", error=error,
                messaging_destination_name=taken_from, messaging_operation_type="process",
                messaging_consumer_group_name="billing", **known,
            )  # fmt: skip
            begin += took + 0.5
            deliveries.append(delivery[0])
        root = span("shop", "POST /payments", one.at - 0.002, 0.02, sending[0])
        if system == "kafka" or one.cut:
            above = trace([*root, *sending[1:]])
            made.append(above)
            link = (Reference(above.trace_id, sending[0].span_id),)
            made += [trace([dataclasses.replace(each, links=() if one.cut else link)]) for each in deliveries]
        else:
            below = [dataclasses.replace(each, parent_id=sending[0].span_id) for each in deliveries]
            made.append(trace([*root, *below]))
    return sorted(made, key=lambda one: one.start)


def observed(found: Sequence[Trace], onset: float | None = None, **queries: Sequence[Series]) -> Observed:
    """The traces as a diagnosis sees them."""
    known = {"up": [series([1.0] * 25, labels={"job": name}) for name in ("shop", "billing")], **queries}
    seen = Observed(
        0.0, END, series=known, queries=dict.fromkeys(known, "q"), during=found, detailed=True, live=False,
        traced=["billing", "shop"], heard={"billing": END, "shop": END},
    )  # fmt: skip
    return parted(seen, onset if onset is not None else verdict.onset(seen) or verdict.turn(seen))


def first(seen: Observed) -> Cause:
    found = verdict.judge(seen)
    assert found.causes, found
    return found.causes[0]


def steady(until: float, since: float = 0.0, **changes: Any) -> list[Message]:
    """A message each second."""
    return [Message(float(at), **changes) for at in range(int(since) + 1, int(until))]


def test_a_broker_that_is_away_is_told_by_the_messages_that_were_tried_before_rates_show_it() -> None:
    """Those behind them wait for their turn, and no later trace tells of it."""
    tried = [Message(58.0 + n / 2, refused="no response") for n in range(3)]
    found = observed(traces([*steady(58), *tried]), onset=62.0)
    assert first(found).kind == "broker away"
    assert "mq:9000" in first(found).summary


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ({"wait": None}, "stopped consumer", "billing takes no more messages from"),
        ({"took": (2.0,)}, "slow consumer", "a message takes 2.0 s instead of 20 ms"),
        ({"wait": 9.0}, "slow consumer", "9.0 s instead of 10 ms before it takes one"),
        ({"cut": True}, "cut traces", "the context of messages in"),
        ({"took": (0.02,) * 6}, "duplicates", "6.0 times each, 1.0 before"),
        ({"refused": "no response"}, "broker away", "takes no message for"),
        ({"refused": "nats: maximum bytes exceeded"}, "queue full", "is full"),
    ],
)
def test_what_is_wrong_is_named_with_its_queue_and_consumer(
    system: str, fault: dict[str, Any], kind: str, told: str
) -> None:
    messages = [*steady(80), *steady(118, 80, **fault)]
    cause = first(observed(traces(messages, system)))
    assert (cause.kind, told in cause.summary) == (kind, True), cause.summary
    queue = {"rabbitmq": "invoices"}.get(system, "paid")
    if kind in ("broker away", "queue full"):
        assert (cause.service, cause.subject) == (system, "mq:9000")
    else:
        assert (cause.service, cause.details["queue"], cause.details["consumer"]) == (
            "billing",
            queue,
            "billing",
        )
    assert cause.since is not None
    assert 75 < cause.since < 100
    assert "traces" in cause.signals


def test_a_message_that_fails_each_time_is_poison_and_its_exception_the_headline() -> None:
    bad: dict[str, Any] = {"errors": ("no such currency",), "took": (0.02,) * 6}
    messages = [*steady(80), *(one for one in steady(118, 80) if one.at % 8), Message(88.0, **bad)]
    cause = first(observed(traces(messages)))
    assert (cause.kind, cause.service) == ("poison", "billing")
    assert "1 fail each time that they are delivered, no such currency" in cause.summary
    assert cause.details["message id"]
    assert cause.details["step"] == "process paid"


def test_what_waits_behind_poison_follows_from_it() -> None:
    bad: dict[str, Any] = {"errors": ("no such currency",), "took": (0.02,) * 6}
    others = [one for one in steady(118, 80, wait=3.0) if one.at % 6]
    poison = [Message(float(at), **bad) for at in range(84, 112, 6)]
    found = verdict.judge(observed(traces([*steady(80), *others, *poison])))
    assert [cause.kind for cause in found.causes] == ["poison"]
    assert "slow consumer" in {cause.kind for cause, _ in found.effects}


def test_a_consumer_that_fails_at_all_messages_is_what_fails_and_not_the_messages() -> None:
    bad: dict[str, Any] = {"errors": ("no such table",), "took": (0.02,) * 6}
    cause = first(observed(traces([*steady(80), *steady(110, 80, **bad)]), onset=80.0))
    assert (cause.kind, cause.service) == ("failing", "billing")


def batch(every: float) -> list[Message]:
    """A message each second, and a job that takes all that is there once in a while."""
    taken = [(float(at), every - at % every) for at in range(1, int(END - 1))]
    return [Message(at, wait=wait if at + wait < END else None) for at, wait in taken]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(batch(60.0), id="a job that takes its messages once a minute"),
        pytest.param(batch(20.0), id="and every 20 s"),
        pytest.param(steady(118, 100, wait=None), id="a start without anything before"),
        pytest.param(steady(118, 100), id="a start"),
        pytest.param([*steady(60, wait=5.0), *steady(118, 60)], id="recovery from waiting"),
        pytest.param([*steady(60, took=(2.0,)), *steady(118, 60)], id="recovery from being slow"),
        pytest.param([*steady(60, refused="no response"), *steady(118, 60)], id="a broker that is back"),
        pytest.param([*steady(60, took=(0.02,) * 4), *steady(118, 60)], id="the end of duplicates"),
        pytest.param([*steady(117), Message(117.5, wait=None)], id="a message that has just been sent"),
        pytest.param([*steady(60), *(Message(60 + n / 6) for n in range(350))], id="six times as many"),
        pytest.param(steady(118, errors=("once", ""), took=(0.02, 0.02)), id="what fails once each time"),
    ],
)
@pytest.mark.parametrize("system", SYSTEMS)
def test_what_is_usual_of_a_queue_is_no_cause(system: str, messages: list[Message]) -> None:
    found = verdict.judge(observed(traces(messages, system)))
    assert [cause.summary for cause in found.causes if cause.until is None] == []


def ages(values: Sequence[float], **labels: str) -> list[Series]:
    return [series(values, labels={"job": "shop", "__name__": "work_oldest_age_seconds", **labels})]


def growing(since: int, size: int = 25) -> list[float]:
    return [max(0.0, (index - since) * 5.0) for index in range(size)]


def test_a_step_that_nobody_goes_on_with_is_named() -> None:
    cause = first(observed([], ages=ages(growing(17), step="shipping")))
    assert (cause.kind, cause.service, cause.subject) == ("unfinished", "shop", "shipping")
    assert cause.since == 85.0
    assert "its step shipping unfinished: the oldest is 35 s old" in cause.summary


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([5.0 * (index % 12) for index in range(25)], id="taken up once a minute"),
        pytest.param([5.0 * index for index in range(25)], id="growing from the first reading on"),
        pytest.param([*growing(5, 20), 0.0, 0.0, 0.0], id="taken up again"),
        pytest.param([2.0, 3.0, 1.0] * 8, id="quick"),
        pytest.param(growing(23), id="for a moment"),
    ],
)
def test_what_is_taken_up_now_and_then_is_no_cause(values: list[float]) -> None:
    assert verdict.judge(observed([], ages=ages(values, step="shipping"))).causes == ()


def test_what_waits_follows_from_a_consumer_that_stopped() -> None:
    waiting = {"messaging_destination_name": "paid", "messaging_consumer_group_name": "billing"}
    known = [*ages(growing(16), **waiting), *ages(growing(16), step="paying")]
    found = verdict.judge(observed(traces([*steady(80), *steady(118, 80, wait=None)]), ages=known))
    assert [cause.kind for cause in found.causes] == ["stopped consumer"]
    assert set(found.causes[0].signals) == {"traces", "metrics"}
    assert {cause.kind for cause, _ in found.effects} == {"waiting messages", "unfinished"}
    assert found.causes[0].details["unfinished"] == "shop: step paying"


@pytest.mark.parametrize(
    ("error", "taken", "kind"),
    [
        ("BrokerFull", 0.0, "queue full"),
        ("TimeoutError", 0.0, "broker away"),
        ("RecordTooLarge", 1.0, "refused messages"),
        ("", 1.0, ""),
    ],
)
def test_a_broker_is_named_by_metrics_where_no_trace_of_it_is_known(
    error: str, taken: float, kind: str
) -> None:
    labels = {"job": "shop", "messaging_system": "kafka", "messaging_destination_name": "paid"}
    sent = [series([1.0] * 19 + [taken] * 6, labels=labels)]
    refused = Series({**labels, "error_type": error}, tuple((at * 5.0, 0.3) for at in range(19, 25)))
    found = verdict.judge(observed([], sent=[*sent, refused])).causes
    assert [(cause.kind, cause.service, cause.subject) for cause in found] == (
        [(kind, "kafka", "paid")] if kind else []
    )


def test_a_few_messages_that_come_twice_are_no_storm() -> None:
    again = [Message(float(at), took=(0.02,) * (2 if at % 7 == 0 else 1)) for at in range(80, 118)]
    assert verdict.judge(observed(traces([*steady(80), *again]))).causes == ()


def test_what_a_broker_says_is_quoted_from_the_lines_of_who_was_not_let_send() -> None:
    seen = observed(traces([*steady(80), *steady(118, 80, refused="no response")]))
    said = {"service": "shop", "severity": "WARN", "message": "not sent: broker mq does not answer"}
    lines = [LogLine({**said, "timestamp": f"1970-01-01T00:01:{at}Z"}) for at in range(30, 50, 5)]
    cause = verdict.judge(dataclasses.replace(seen, lines_during=lines)).causes[0]
    (line,) = (one for one in cause.evidence if one.signal == "logs")
    assert "broker mq does not answer" in line.result


def of_an_exchange(queue: str, at: float) -> Trace:
    """A message of the exchange `events`, and its processing from the queue that is bound to its key."""
    known = {"messaging_system": "rabbitmq", "server_address": "mq"}
    taken = span(
        queue, f"{queue} process", at + 0.01, 0.02, kind="consumer",
        messaging_destination_name=queue, messaging_operation="process", **known,
    )  # fmt: skip
    sending = span(
        "shop", "events publish", at, 0.005, *taken, kind="producer",
        messaging_destination_name="events", messaging_operation="publish", **known,
    )  # fmt: skip
    return trace(span("shop", "POST /any", at - 0.002, 0.02, *sending))


def test_a_queue_for_which_nothing_is_sent_has_no_consumer_that_stopped() -> None:
    both = [of_an_exchange("invoices" if at % 2 else "letters", float(at)) for at in range(1, 80)]
    one = [of_an_exchange("letters", float(at)) for at in range(80, 118)]
    assert [cause.summary for cause in verdict.judge(observed([*both, *one])).causes] == []


@pytest.mark.parametrize(("every", "kind"), [(1, "broker away"), (3, "refused messages")])
def test_a_broker_that_takes_other_messages_meanwhile_is_not_away(every: int, kind: str) -> None:
    said = "larger than the maximum request"
    messages = [Message(float(at), refused=said if at % every == 0 else "") for at in range(80, 118)]
    cause = first(observed(traces([*steady(80), *messages], "kafka")))
    assert (cause.kind, cause.service, "takes some messages" in cause.summary) == (kind, "kafka", every > 1)


@pytest.mark.parametrize(("apart", "kinds"), [(0.001, []), (2.0, ["duplicates"])])
def test_what_is_for_all_processes_of_a_service_is_no_duplicate_when_there_are_more(
    apart: float, kinds: list[str]
) -> None:
    def made(at: float, processes: int) -> Trace:
        known = {
            "messaging_system": "kafka",
            "messaging_message_id": f"m{at}",
            "messaging_operation": "process",
        }
        named = known | {"messaging_destination_name": "prices"}
        (sending,) = span(
            "shop", "prices publish", at, 0.005, kind="producer", **named | {"messaging_operation": "publish"}
        )
        taken = []
        for number in range(processes):
            (one,) = span(
                "cache", "prices process", at + 0.01 + number * apart, 0.02, kind="consumer", **named
            )
            resource = {"service.name": "cache", "service.instance.id": f"cache-{number}"}
            taken.append(dataclasses.replace(one, parent_id=sending.span_id, resource=resource))
        return trace([sending, *taken])

    seen = observed([made(float(at), 1 if at < 80 else 3) for at in range(1, 112)])
    assert [cause.kind for cause in verdict.judge(seen).causes] == kinds
