"""Any traces that OTLP can carry, as hypothesis strategies: what is ordinary and all that is odd.

Deep, wide, errors, events, links within and between traces, every type of attribute, unicode, clocks that
differ between hosts, spans whose parent never came, spans sent twice, services without a name, and ids
that differ from each other in one bit.

Where examples must be the same in every run, the integers of a strategy stay below 100: among larger ones
hypothesis tries constants that it finds in whatever modules are loaded at the time, as it does for bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backendkit import pairs
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

SECOND = 1_000_000_000
KEYS = ("http.route", "n", "größe", "a b", "x.y", "error.type", "peer.service", "<b>")
TEXTS = st.sampled_from(
    ["", "x", "/cars", "größe ☃", "<b>&", '"quoted"', "true", "5", "1.5", "a\u0000b", "👩‍🚗"]
)
NUMBERS = st.sampled_from([0, 1, -1, 5, 2**53 - 1, 2**53, -(2**53), 2**63 - 1, -(2**63)])
REALS = st.sampled_from([0.0, -0.0, 0.1, 1.5, 3.0, -2.25, 1e-7, 1e-6, 123456.789, 1e20, 1e21, 1e300, 5e-324])
BYTES = st.sampled_from([b"", b"\0", b"abc", b"\xff\xfe", b"\x80\0a\n"])
PLAIN = st.one_of(TEXTS, NUMBERS, REALS, st.booleans(), BYTES)
VALUES = st.one_of(
    PLAIN,
    st.none(),
    st.lists(PLAIN, max_size=3),
    st.dictionaries(st.sampled_from(["k", "z", "größe"]), PLAIN, max_size=2),
    st.just([[], {}, ["a", {"k": [1]}]]),
)
ATTRIBUTES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)


@dataclass
class Made:
    """A request and what to ask about it."""

    services: list[str]
    traces: list[bytes]
    request: ExportTraceServiceRequest = field(default_factory=ExportTraceServiceRequest)
    cut: int = 0
    """How many of its resources are sent in a request of their own, before the others."""

    @property
    def bodies(self) -> list[bytes]:
        """The requests as they are sent."""
        every = self.request.resource_spans
        parts = (every[: self.cut], every[self.cut :])
        return [ExportTraceServiceRequest(resource_spans=part).SerializeToString() for part in parts if part]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for resource in self.request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@st.composite
def batches(draw: st.DrawFn, number: int, now: int) -> Made:
    """A few traces over services whose names have the number of the batch, so that no other has them."""
    services = [f"{name}-{number}" for name in ("web", "car", "größe")]
    # One bit between any two: what takes a prefix or a hash for an id would mix them up.
    base = number << 64 | 0x1111_2222_3333_4444
    traces = [
        (base ^ 1 << bit).to_bytes(16, "big")
        for bit in draw(st.sets(st.integers(0, 63), min_size=2, max_size=4))
    ]
    made = Made(services, traces)
    for trace in traces:
        shape = draw(st.sampled_from(["any", "any", "any", "deep", "wide"]))
        count = draw(st.integers(1, 8)) if shape == "any" else 40
        groups = [_group(draw, made) for _ in range(draw(st.integers(1, 3)))]
        made_spans: list[Span] = []
        for n in range(count):
            parent = _parent(draw, shape, made_spans)
            made_spans.append(_span(draw, draw(st.sampled_from(groups)), trace, n, parent, now))
        _oddities(draw, groups, made_spans, traces)
    made.cut = draw(st.sampled_from([0, 0, 1, len(made.request.resource_spans) // 2]))
    return made


def _group(draw: st.DrawFn, made: Made) -> ScopeSpans:
    """A scope of a resource; now and then one of the last resource, or of a service without a usable name."""
    before = made.request.resource_spans
    how = draw(st.sampled_from(["new", "new", "new", "new", "equal", "scope"])) if before else "new"
    if how == "equal":
        # As a service sends it with each batch: the same resource and scope once more.
        equal = ResourceSpans(resource=before[-1].resource)
        scope = equal.scope_spans.add(scope=before[-1].scope_spans[0].scope)
        before.append(equal)
        return before[-1].scope_spans[0]
    resource = before[-1] if how == "scope" else _resource(draw, made)
    scope = resource.scope_spans.add()
    scope.scope.name = draw(st.sampled_from(["", "flask", "größe"]))
    scope.scope.version = draw(st.sampled_from(["", "1.2"]))
    if draw(st.booleans()):
        scope.scope.attributes.extend(pairs(draw(ATTRIBUTES)))
    return scope


def _resource(draw: st.DrawFn, made: Made) -> ResourceSpans:
    resource = made.request.resource_spans.add()
    name = draw(st.sampled_from([*made.services, *made.services, "", None, 5]))
    attributes: dict[str, Any] = draw(ATTRIBUTES) if draw(st.booleans()) else {}
    attributes |= {} if name is None else {"service.name": name}
    if draw(st.booleans()):
        attributes["host.name"] = draw(st.sampled_from(["h1", "h2"]))
    resource.resource.attributes.extend(pairs(attributes))
    return resource


def _parent(draw: st.DrawFn, shape: str, before: list[Span]) -> bytes:
    if not before:
        return b"" if draw(st.integers(0, 3)) else b"\xee" * 8
    if shape == "deep":
        return before[-1].span_id
    if shape == "wide":
        return before[0].span_id
    return draw(st.sampled_from([b"", b"\xee" * 8, *(span.span_id for span in before)]))


def _span(draw: st.DrawFn, scope: ScopeSpans, trace: bytes, n: int, parent: bytes, now: int) -> Span:
    seconds, tens, units = draw(st.integers(-4, 4)), draw(st.integers(-99, 99)), draw(st.integers(0, 9))
    start = now + seconds * SECOND + (tens * 10 + units) * 1_000_000 + draw(st.sampled_from([0, 1, 999]))
    duration = draw(st.sampled_from([0, 1, 999, 1_000, 1_500_000, 20_000_000, 2 * SECOND]))
    span = scope.spans.add(
        trace_id=trace,
        span_id=(0xABCD_0000_0000_0000 | 1 << n).to_bytes(8, "big"),
        parent_span_id=parent,
        name=draw(st.sampled_from(["GET /cars", "SELECT", "größe", ""])),
        kind=draw(st.integers(0, 5)),
        start_time_unix_nano=start,
        end_time_unix_nano=start + duration,
        trace_state=draw(st.sampled_from(["", "", "a=b,c=d"])),
        flags=draw(st.sampled_from([0, 1, 257])),
    )
    span.attributes.extend(pairs(draw(ATTRIBUTES)))
    span.status.code = draw(st.sampled_from([0, 0, 1, 2]))
    span.status.message = draw(st.sampled_from(["", "boom größe"]))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        event = span.events.add(
            name=draw(st.sampled_from(["", "exception", "log"])), time_unix_nano=start + 1
        )
        event.attributes.extend(pairs(draw(ATTRIBUTES)))
    return span


def _oddities(draw: st.DrawFn, groups: list[ScopeSpans], spans: list[Span], traces: list[bytes]) -> None:
    """Links, an end before the start, and a span sent twice."""
    for span in spans:
        if draw(st.integers(0, 5)) == 0:
            link = span.links.add(trace_id=draw(st.sampled_from(traces)), span_id=spans[0].span_id)
            link.attributes.extend(pairs(draw(ATTRIBUTES)))
    if draw(st.integers(0, 4)) == 0:
        spans[-1].end_time_unix_nano = spans[-1].start_time_unix_nano - SECOND
    # Not twice one that gets a warning for its duration: Jaeger 2.13 gives it to the wrong one of the two.
    lasting = [(group, span) for group in groups for span in group.spans if lasts(span)]
    if lasting and draw(st.booleans()):
        group, span = draw(st.sampled_from(lasting))
        group.spans.add().CopyFrom(span)


def lasts(span: Span) -> bool:
    """Whether it ends after its start."""
    return span.end_time_unix_nano > span.start_time_unix_nano
