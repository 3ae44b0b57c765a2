"""Bars over time as Kibana's Lens keeps them, inside a dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LAYER = "lines"


@dataclass(frozen=True)
class Chart:
    """How many of the lines that `query` (KQL) finds there are over time, by the values of `field`."""

    title: str
    about: str
    field: str
    query: str = ""


def lens(chart: Chart, view: str, time: str) -> dict[str, Any]:
    """Stacked bars over the data view `view`, whose time field is `time`."""
    layer = {
        "columnOrder": ["by", "time", "lines"],
        "columns": {"by": _values(chart.field), "time": _time(time), "lines": _COUNT},
        "incompleteColumns": {},
    }
    return {
        "title": chart.title,
        "description": chart.about,
        "visualizationType": "lnsXY",
        "type": "lens",
        "references": [
            {"id": view, "type": "index-pattern", "name": f"indexpattern-datasource-layer-{LAYER}"}
        ],
        "state": {
            "query": {"language": "kuery", "query": chart.query},
            "filters": [],
            "datasourceStates": {"formBased": {"layers": {LAYER: layer}}},
            "visualization": {
                "legend": {"isVisible": True, "position": "right"},
                "preferredSeriesType": "bar_stacked",
                "layers": [_DRAWN],
            },
        },
    }


_DRAWN = {
    "layerId": LAYER,
    "layerType": "data",
    "seriesType": "bar_stacked",
    "xAccessor": "time",
    "splitAccessor": "by",
    "accessors": ["lines"],
}

_COUNT = {
    "label": "Lines",
    "dataType": "number",
    "operationType": "count",
    "sourceField": "___records___",
    "isBucketed": False,
    "scale": "ratio",
}


def _time(field: str) -> dict[str, Any]:
    return {
        "label": field,
        "dataType": "date",
        "operationType": "date_histogram",
        "sourceField": field,
        "isBucketed": True,
        "scale": "interval",
        "params": {"interval": "auto"},
    }


def _values(field: str) -> dict[str, Any]:
    """The ten most frequent values of the field, the rest as one."""
    return {
        "label": field,
        "dataType": "string",
        "operationType": "terms",
        "sourceField": field,
        "isBucketed": True,
        "scale": "ordinal",
        "params": {
            "size": 10,
            "orderBy": {"type": "column", "columnId": "lines"},
            "orderDirection": "desc",
            "otherBucket": True,
        },
    }
