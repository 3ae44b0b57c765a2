"""What is emitted, held against what is declared: for `testing.undeclared`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from prometheus_client.metrics_core import Metric

from observability import schema

HTTP_ATTRIBUTES = frozenset(
    {
        *("http.request.method", "http.request.method_original", "http.route"),
        *("http.response.status_code", "url.scheme", "url.path", "url.query", "url.full"),
        *("server.address", "server.port", "client.address", "client.port", "user_agent.original"),
        *("network.protocol.version", "network.peer.address", "network.peer.port", "error.type"),
    }
)
"""What the official HTTP instrumentations may set, by the stable conventions."""

_TYPES: dict[str, Any] = {"string": str, "int": int, "double": (int, float), "object": dict}


def undeclared(
    spans: Sequence[ReadableSpan],
    lines: Sequence[dict[str, Any]],
    families: Iterable[Metric],
    declared: Sequence[schema.Signals],
) -> list[str]:
    """A line for each thing that neither `declared` nor the library declares, in the order of their names."""
    known = (schema.OWN, *declared)
    metrics = {metric.name: metric for signals in known for metric in signals.metrics}
    fields = {field.name: field for signals in known for field in signals.log_fields}
    attributes = {field.name for signals in known for field in signals.span_attributes} | HTTP_ATTRIBUTES
    found = {complaint for family in families for complaint in _family(family, metrics.get(family.name))}
    found |= {complaint for line in lines for complaint in _line(line, fields)}
    found |= {
        f"span {span.name}: the attribute {key} is not declared"
        for span in spans
        for key in (span.attributes or {}).keys() - attributes
    }
    return sorted(found)


def _family(family: Metric, metric: schema.Metric | None) -> Iterable[str]:
    if family.name.startswith(schema.RUNTIME):
        return
    if metric is None:
        yield f"metric {family.name} is not declared"
        return
    if (family.type, family.documentation) != (metric.kind, metric.help):
        yield f"metric {family.name} is a {family.type} ({family.documentation}), declared as {metric.kind}"
    for sample in family.samples:
        more = sample.labels.keys() - {"le", "quantile", *metric.labels}
        for label in sorted(label for label in more if not label.startswith("otel_scope_")):
            yield f"metric {family.name}: the label {label} is not declared"


def _line(line: dict[str, Any], fields: dict[str, schema.Field]) -> Iterable[str]:
    for key, value in {**line.get("extra", {}), **line}.items():
        field = fields.get(key)
        if field is None:
            yield f"log field {key} is not declared"
        elif not isinstance(value, _TYPES[field.type]):
            yield f"log field {key} is {value!r}, declared as {field.type}"
