"""Typed clients of the three query interfaces: Jaeger's query API, Prometheus' HTTP API, a log search.

The console, the command line and the diagnosis read telemetry only through these, so that they serve
the embedded backend and a cluster (through `kubectl port-forward`) with the same code.
:func:`connect` builds them from settings; tests give :class:`Sources` transports of their own.
"""

from dashcam.model.logs import LogLine, LogPage, LogQuery
from dashcam.model.series import Alert, Exemplar, Sample, Series
from dashcam.model.summaries import TraceSummary
from dashcam.model.traces import Span, Trace
from dashcam.sources.composition import Sources, connect
from dashcam.sources.errors import SourceAway, SourceError, SourceRefused, SourceUnreadable
from dashcam.sources.jaeger import Incomplete, Jaeger, TraceQuery
from dashcam.sources.logs import LogSearch
from dashcam.sources.prometheus import Prometheus
from dashcam.sources.settings import SourceSettings

__all__ = [
    "Alert",
    "Exemplar",
    "Incomplete",
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
