"""Prometheus' HTTP API (v1): instant and range queries, exemplars, alerts, label values.

Times are Unix seconds. A value that is not a number stays NaN, as Prometheus answers it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dashcam.model.series import Alert, Exemplar, Sample, Series
from dashcam.sources.transport import JsonSource, Params


class Prometheus(JsonSource):
    """A client of Prometheus' HTTP API. Every method raises SourceError when it cannot answer."""

    name = "Prometheus"
    latest: float | None = None
    """The moment that is now where nothing else is said; None: the present. Of a recorded time, its end."""

    def instant(self, promql: str, at: float | None = None) -> list[Sample]:
        """The value of each series now, or at `at`; a scalar is one sample without labels."""
        at = self.latest if at is None else at
        params: dict[str, str | float] = {"query": promql} | ({} if at is None else {"time": at})
        data = self._data("/api/v1/query", params)
        try:
            kind, result = data["resultType"], data["result"]
            if kind == "vector":
                return [
                    Sample(row["metric"], float(row["value"][0]), float(row["value"][1])) for row in result
                ]
            if kind == "scalar":
                return [Sample({}, float(result[0]), float(result[1]))]
            if kind == "matrix":
                return [
                    Sample(row["metric"], float(t), float(v)) for row in result for t, v in row["values"][-1:]
                ]
            return [Sample({"string": str(result[1])}, float(result[0]), float("nan"))]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise self.unreadable("its query result has another shape") from error

    def range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """The values of each series from `start` to `end`, one each `step` seconds."""
        params: Params = {"query": promql, "start": start, "end": end, "step": step}
        try:
            return [
                Series(row["metric"], tuple((float(t), float(v)) for t, v in row["values"]))
                for row in self._data("/api/v1/query_range", params)["result"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its range result has another shape") from error

    def samples(self, selector: str, start: float, end: float) -> list[Series]:
        """Every sample of the series that `selector` selects from `start` to `end`, as it was scraped."""
        params: Params = {"query": f"{selector}[{math.ceil(end - start)}s]", "time": end}
        try:
            return [
                Series(
                    row["metric"], tuple((float(t), float(v)) for t, v in row["values"] if float(t) >= start)
                )
                for row in self._data("/api/v1/query", params)["result"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its samples have another shape") from error

    def exemplars(self, promql: str, start: float, end: float) -> list[Exemplar]:
        """The exemplars of every series that `promql` selects, oldest first."""
        params: Params = {"query": promql, "start": start, "end": end}
        try:
            found = [
                Exemplar(row["seriesLabels"], one["labels"], float(one["timestamp"]), float(one["value"]))
                for row in self._data("/api/v1/query_exemplars", params) or ()
                for one in row["exemplars"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its exemplars have another shape") from error
        return sorted(found, key=lambda exemplar: exemplar.time)

    def alerts(self) -> list[Alert]:
        """Every pending and firing alert."""
        try:
            return [_alert(row) for row in self._data("/api/v1/alerts")["alerts"]]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unreadable("its alerts have another shape") from error

    def label_values(self, label: str, match: str = "") -> list[str]:
        """The values of a label, sorted, of the series that `match` selects or of all."""
        params: Params = {"match[]": match} if match else {}
        values = self._data(f"/api/v1/label/{quote(label, safe='')}/values", params)
        return sorted(str(value) for value in values or ())

    def _data(self, path: str, params: Params | None = None) -> Any:
        body = self.ask(path, params)
        if not isinstance(body, dict) or body.get("status") != "success" or "data" not in body:
            raise self.unreadable(f"its answer to {path} has no `data`")
        return body["data"]


def _alert(row: Mapping[str, Any]) -> Alert:
    return Alert(
        labels=row["labels"],
        annotations=row.get("annotations") or {},
        state=str(row["state"]),
        active_at=datetime.fromisoformat(_microseconds(row["activeAt"])).timestamp(),
        value=float(row["value"]),
    )


def _microseconds(timestamp: str) -> str:
    """Prometheus writes nanoseconds and a Z; `fromisoformat` of Python 3.11 takes six digits."""
    head, dot, fraction = timestamp.removesuffix("Z").partition(".")
    return f"{head}{dot}{fraction[:6]}+00:00"
