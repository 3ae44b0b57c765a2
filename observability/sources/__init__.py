"""Typed clients of the three query interfaces: Jaeger's query API, Prometheus' HTTP API, a log search.

The console, the command line and the diagnosis read telemetry only through these, so that they serve
the embedded backend and a cluster (through `kubectl port-forward`) with the same code.
:func:`connect` builds them from settings; tests give :class:`Sources` transports of their own.
"""

from observability.sources.composition import Sources, connect
from observability.sources.errors import SourceAway, SourceError, SourceRefused, SourceUnreadable
from observability.sources.jaeger import Jaeger, TraceQuery
from observability.sources.logs import LogLine, LogPage, LogQuery, LogSearch
from observability.sources.prometheus import Alert, Exemplar, Prometheus, Sample, Series
from observability.sources.settings import SourceSettings
from observability.sources.summaries import TraceSummary
from observability.sources.traces import Span, Trace

__all__ = [
    "Alert",
    "Exemplar",
    "Jaeger",
    "LogLine",
    "LogPage",
    "LogQuery",
    "LogSearch",
    "Prometheus",
    "Sample",
    "Series",
    "SourceAway",
    "SourceError",
    "SourceRefused",
    "SourceSettings",
    "SourceUnreadable",
    "Sources",
    "Span",
    "Trace",
    "TraceQuery",
    "TraceSummary",
    "connect",
]
