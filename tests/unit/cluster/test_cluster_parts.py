"""Deploying some parts of an overlay: theirs, and what belongs to no part."""

from __future__ import annotations

from typing import Any

import pytest

from dashcam.cluster.kubectl import ClusterError
from dashcam.cluster.parts import NAME, Parts, named


def thing(kind: str, name: str, part: str = "") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, **({"labels": {NAME: part}} if part else {})}}


OVERLAY = [
    thing("Namespace", "dashcam"),
    thing("NetworkPolicy", "car"),
    thing("Deployment", "car", "car"),
    thing("Deployment", "kibana", "kibana"),
    thing("Job", "kibana-bootstrap", "kibana-bootstrap"),
    thing("Deployment", "elasticsearch-exporter", "elasticsearch-exporter"),
    thing("StatefulSet", "elasticsearch", "elasticsearch"),
]


def names(parts: Parts) -> set[str]:
    return {each["metadata"]["name"] for each in parts.of(OVERLAY) if each["kind"] != "Namespace"}


def test_everything_is_deployed_unless_something_else_is_said() -> None:
    assert Parts().of(OVERLAY) == OVERLAY


def test_only_the_named_parts_are_deployed_with_what_belongs_to_none() -> None:
    chosen = Parts(only=named(["car"])).of(OVERLAY)
    assert [each["kind"] for each in chosen] == ["Namespace", "NetworkPolicy", "Deployment"]


def test_a_part_that_is_left_out_takes_its_job_along_and_no_other_part() -> None:
    left = names(Parts(without=named(["kibana,elasticsearch"])))
    assert left == {"car", "elasticsearch-exporter"}


def test_a_name_that_no_part_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(ClusterError, match="there is no part kibbana; there are car, elasticsearch, "):
        Parts(without=named(["kibbana"])).of(OVERLAY)


def test_names_may_be_given_together_or_one_by_one() -> None:
    assert named(["web,car", "price", ""]) == {"web", "car", "price"}
