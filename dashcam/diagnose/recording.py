"""What was observed, as a file: to diagnose it again without the sources, and to test against.

Gzipped JSON. Of the traces at most MOST_TRACES of each side are kept, spread over the time, and of the log
lines MOST_LINES.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import orjson

from dashcam.diagnose.observe import Observed
from dashcam.model.traces import Event, Reference
from dashcam.sources import Alert, LogLine, Series, Span, Trace

MOST_TRACES, MOST_LINES = 150, 200

T = TypeVar("T")


def write(seen: Observed, path: Path) -> None:
    """Keep `seen` in the file at `path`."""
    document = {
        "start": seen.start,
        "end": seen.end,
        "onset": seen.onset,
        "series": {
            name: [{"labels": dict(one.labels), "points": one.points} for one in series]
            for name, series in seen.series.items()
        },
        "queries": dict(seen.queries),
        "alerts": [asdict(one) for one in seen.alerts],
        "before": [_trace(one) for one in _spread(seen.before, MOST_TRACES)],
        "during": [_trace(one) for one in _spread(seen.during, MOST_TRACES)],
        "lines_before": [_kept(one.fields) for one in _spread(seen.lines_before, MOST_LINES)],
        "lines_during": [_kept(one.fields) for one in _spread(seen.lines_during, MOST_LINES)],
        "past": [_trace(one) for one in _spread(seen.past, MOST_TRACES)],
        "said": [_kept(one.fields) for one in seen.said],
        "unheard": list(seen.unheard),
        "traced": list(seen.traced),
        "heard": dict(seen.heard),
        "away": dict(seen.away),
        "detailed": seen.detailed,
        "interval": seen.interval,
    }
    path.write_bytes(gzip.compress(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS), mtime=0))


def read(path: Path) -> Observed:
    """What :func:`write` has kept. Raises ValueError for another file."""
    try:
        data = orjson.loads(gzip.decompress(path.read_bytes()))
        return Observed(
            start=data["start"],
            end=data["end"],
            onset=data["onset"],
            series={name: [_series(one) for one in series] for name, series in data["series"].items()},
            queries=data["queries"],
            alerts=[Alert(**one) for one in data["alerts"]],
            before=[_read_trace(one) for one in data["before"]],
            during=[_read_trace(one) for one in data["during"]],
            lines_before=[LogLine(one) for one in data["lines_before"]],
            lines_during=[LogLine(one) for one in data["lines_during"]],
            past=[_read_trace(one) for one in data.get("past", ())],
            said=[LogLine(one) for one in data.get("said", ())],
            unheard=[(start, end) for start, end in data.get("unheard", ())],
            traced=data["traced"],
            heard=data.get("heard", {}),
            away=data["away"],
            detailed=data["detailed"],
            interval=data.get("interval", 5.0),
        )
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no recording of a diagnosis: {error!r}") from error


def _spread(values: Sequence[T], most: int) -> list[T]:
    """At most `most` of them, evenly."""
    if len(values) <= most:
        return list(values)
    return [values[int(index * len(values) / most)] for index in range(most)]


def _trace(one: Trace) -> dict[str, Any]:
    spans = [asdict(span) for span in one.spans]
    for event in (event for span in spans for event in span["events"]):
        event["attributes"] = _kept(event["attributes"])
    return {"trace_id": one.trace_id, "spans": spans}


def _kept(fields: Mapping[str, Any]) -> dict[str, Any]:
    """All but stack traces, which are long, name folders of the machine, and are not looked at."""
    return {name: value for name, value in fields.items() if not name.endswith("stacktrace")}


def _series(data: dict[str, Any]) -> Series:
    # JSON has no word for a number that is none.
    points = tuple((time, float("nan") if value is None else value) for time, value in data["points"])
    return Series(data["labels"], points)


def _read_trace(data: dict[str, Any]) -> Trace:
    spans = tuple(
        Span(
            **{
                **span,
                "events": tuple(Event(**event) for event in span["events"]),
                "links": tuple(Reference(**link) for link in span["links"]),
                "warnings": tuple(span["warnings"]),
            }
        )
        for span in data["spans"]
    )
    return Trace(data["trace_id"], spans)
