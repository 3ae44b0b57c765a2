"""OpenSLO (openslo/v1) as objectives: what can be meant the same is read, the rest is refused by name.

Read are SLO objects over a ratio of two counters that Prometheus has; the SLI is in the object or beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from dashcam.slo.objectives import ObjectiveError, Objectives, from_page

VERSION = "openslo/v1"
Document = dict[str, Any]


def is_openslo(text: str) -> bool:
    """Whether a page is OpenSLO's and not one of objectives."""
    return any(
        isinstance(each, dict) and str(each.get("apiVersion", "")).startswith("openslo/")
        for each in yaml.safe_load_all(text)
    )


def load(path: Path) -> Objectives:
    """The objectives of all SLO objects of a file. Raises ObjectiveError."""
    documents = [each for each in yaml.safe_load_all(path.read_text(encoding="utf-8")) if each]
    indicators = {each["metadata"]["name"]: each for each in documents if each.get("kind") == "SLI"}
    slos, periods = [], set()
    for document in documents:
        if document.get("kind") != "SLO":
            continue
        try:
            slos += list(_objectives(document, indicators))
            periods.add(_period(document))
        except (KeyError, TypeError, IndexError) as error:
            raise ObjectiveError(
                f"{path}: {_name(document)}: {error!r} is missing or no such thing"
            ) from None
        except ObjectiveError as error:
            raise ObjectiveError(f"{path}: {_name(document)}: {error}") from None
    if not slos:
        raise ObjectiveError(f"{path}: no object of the kind SLO")
    if len(periods) > 1:
        raise ObjectiveError(f"{path}: {', '.join(sorted(periods))}: one period for all; put others apart")
    return from_page({"period": periods.pop(), "slos": slos}, str(path))


def _name(document: Document) -> str:
    return str(document.get("metadata", {}).get("name", "an SLO without a name"))


def _objectives(document: Document, indicators: dict[str, Document]) -> Iterator[Document]:
    if document["apiVersion"] != VERSION:
        raise ObjectiveError(f"apiVersion {document['apiVersion']} is not {VERSION}")
    spec = document["spec"]
    if (method := spec.get("budgetingMethod", "Occurrences")) != "Occurrences":
        raise ObjectiveError(f"budgetingMethod {method}: only Occurrences are counted here")
    counters = _counters(_indicator(spec, indicators))
    several = len(spec["objectives"]) > 1
    for number, objective in enumerate(spec["objectives"], start=1):
        yield {
            "name": document["metadata"]["name"] + (f"-{number}" if several else ""),
            "service": spec["service"],
            "sli": "availability",
            "objective": _percent(objective),
            "about": " ".join(str(spec.get("description") or f"{spec['service']} does its work.").split()),
            **counters,
        }


def _indicator(spec: Document, indicators: dict[str, Document]) -> Document:
    if "indicatorRef" not in spec:
        found: Document = spec["indicator"]["spec"]
        return found
    if spec["indicatorRef"] not in indicators:
        raise ObjectiveError(f"indicatorRef {spec['indicatorRef']!r} is no SLI of this file")
    beside: Document = indicators[spec["indicatorRef"]]["spec"]
    return beside


def _counters(indicator: Document) -> dict[str, str]:
    """`total` and one of `bad` and `good`, as selectors."""
    if "ratioMetric" not in indicator:
        raise ObjectiveError(f"{', '.join(indicator)}: only a ratioMetric is read")
    ratio = indicator["ratioMetric"]
    if not ratio.get("counter"):
        raise ObjectiveError("ratioMetric: counter has to be true; gauges are not counted")
    return {kind: _query(ratio[kind]) for kind in ("total", "bad", "good") if kind in ratio}


def _query(metric: Document) -> str:
    source = metric["metricSource"]
    if str(source.get("type", "Prometheus")).lower() != "prometheus":
        raise ObjectiveError(f"metricSource.type {source['type']}: only Prometheus is read")
    return " ".join(str(source["spec"]["query"]).split())


def _percent(objective: Document) -> float:
    if "targetPercent" in objective:
        return float(objective["targetPercent"])
    return round(float(objective["target"]) * 100, 7)


def _period(document: Document) -> str:
    (window,) = document["spec"]["timeWindow"]
    if not window.get("isRolling"):
        raise ObjectiveError(
            "timeWindow: only rolling windows are read; calendars begin anew at their first day"
        )
    return str(window["duration"])
