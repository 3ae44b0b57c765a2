"""Messages in traces, by OpenTelemetry's messaging conventions: who sends which one, and who processes it.

A message is one thing with several spans: it may be created, is sent (perhaps in vain), and is processed by
each group of consumers (perhaps several times). What is processed belongs to what was sent by the message's
id, by its parent, or by a link: batches and retries have links only, and some systems give messages no ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dashcam.sources import Span, Trace

CREATE, SEND, PROCESS = "create", "send", "process"
_ROLES = {
    **{"create": CREATE, "publish": SEND, "send": SEND},
    **{"process": PROCESS, "deliver": PROCESS},
    **{"receive": "", "settle": "", "ack": "", "nack": ""},
}
"""What a span does with its message, by the names of the conventions, today's and earlier ones."""
_BY_KIND = {"producer": SEND, "consumer": PROCESS}


@dataclass(frozen=True)
class Sent:
    """A message that was given to the broker at `server`, or tried to."""

    span: Span
    trace: Trace
    system: str
    destination: str
    server: str
    names: frozenset[str]
    """What a span of its processing may know it by."""


@dataclass(frozen=True)
class Processed:
    """One delivery of a message to a group of consumers. `waited` is seconds since it was sent, if known."""

    span: Span
    trace: Trace
    system: str
    destination: str
    group: str
    message: str
    """Its id; of a message without one, the span that it came from."""
    about: str
    """The conversation that it is a part of, where it says; else the message itself."""
    names: frozenset[str]
    origin: bool
    """Whether it knows the span that its message came from."""
    waited: float | None = None


@dataclass
class Queue:
    """What one group of consumers takes from one destination, and what was sent to it; both by time."""

    system: str
    destination: str
    group: str
    processed: list[Processed] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    @property
    def service(self) -> str:
        """The service that consumes it."""
        return self.processed[-1].span.service

    @property
    def senders(self) -> list[str]:
        """The services that send to it."""
        return sorted({one.span.service for one in self.sent})


def role(span: Span) -> str:
    """CREATE, SEND or PROCESS; empty for a span that is about no message."""
    named = span.attributes
    if not named.get("messaging.system"):
        return ""
    said = named.get("messaging.operation.type") or named.get("messaging.operation") or ""
    return _ROLES.get(str(said), _BY_KIND.get(span.kind, ""))


def sent(traces: Iterable[Trace]) -> list[Sent]:
    """Every attempt to send a message, by time."""
    found = []
    for trace in traces:
        for span in trace.spans:
            if role(span) == SEND:
                above = trace.by_id.get(span.parent_id or "")
                names = {_message(span), span.span_id}
                if above is not None and role(above) == CREATE:
                    names.add(above.span_id)
                where = (str(span.attributes["messaging.system"]), destination(span), server(span))
                found.append(Sent(span, trace, *where, frozenset(names - {""})))
    return sorted(found, key=lambda one: one.span.start)


def queues(traces: Sequence[Trace]) -> list[Queue]:
    """Every queue from which something was processed."""
    given = sent(traces)
    by_name: dict[str, Sent] = {}
    for each in given:
        if not each.span.failed:
            for name in each.names:
                by_name.setdefault(name, each)
    found: dict[tuple[str, str, str], Queue] = {}
    for one in _processed(traces, by_name):
        key = one.system, one.destination, one.group
        found.setdefault(key, Queue(*key)).processed.append(one)
    for queue in found.values():
        queue.sent = _of(queue, given, by_name)
    return list(found.values())


def _of(queue: Queue, given: Sequence[Sent], by_name: Mapping[str, Sent]) -> list[Sent]:
    """What was sent to a queue: an exchange or a topic may have another name than the queue it feeds."""
    names = {name for one in queue.processed for name in one.names if name in by_name}
    sources = {by_name[name].destination for name in names} | {queue.destination}
    return [one for one in given if one.system == queue.system and one.destination in sources]


def _processed(traces: Iterable[Trace], by_name: Mapping[str, Sent]) -> Iterator[Processed]:
    spans = [(span, trace) for trace in traces for span in trace.spans if role(span) == PROCESS]
    taken: set[tuple[str, str]] = set()
    for span, trace in sorted(spans, key=lambda one: one[0].start):
        named = span.attributes
        links = {link.span_id for link in span.links}
        origins = frozenset({span.parent_id or "", *links} - {""})
        message = _message(span) or min(origins, default=span.span_id)
        names = frozenset({message, *origins})
        group = _group(span)
        waited = None
        if (group, message) not in taken:
            ends = [by_name[name].span.end for name in names if name in by_name]
            ends = ends or [trace.by_id[one].end for one in origins if one in trace.by_id]
            waited = max(0.0, (span.start - min(ends)) / 1e6) if ends else None
        taken.add((group, message))
        yield Processed(
            span,
            trace,
            str(named["messaging.system"]),
            destination(span),
            group,
            message,
            str(named.get("messaging.message.conversation_id") or message),
            names,
            bool(origins),
            waited,
        )


def destination(span: Span) -> str:
    """The queue or topic that a span is about."""
    named = span.attributes
    return str(
        named.get("messaging.destination.name") or named.get("messaging.destination") or span.operation
    )


def server(span: Span) -> str:
    """Host and port of the broker; empty where the span does not say."""
    address = span.attributes.get("server.address") or span.attributes.get("net.peer.name")
    port = span.attributes.get("server.port") or span.attributes.get("net.peer.port")
    return f"{address}:{port}" if address and port else str(address or "")


def _group(span: Span) -> str:
    for name in (
        "messaging.consumer.group.name",
        "messaging.kafka.consumer.group",
        "messaging.destination.subscription.name",
    ):
        if group := span.attributes.get(name):
            return str(group)
    return span.service


def _message(span: Span) -> str:
    return str(
        span.attributes.get("messaging.message.id") or span.attributes.get("messaging.message_id") or ""
    )
