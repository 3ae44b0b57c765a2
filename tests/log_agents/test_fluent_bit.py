"""Fluent Bit, of whoever has it on PATH: `make test-fluent-bit`. Asked for and not there, it fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from log_agents.agents import FluentBit
from log_agents.cases import Cases, Scene
from log_agents.node import Container, service_line
from log_agents.stored import SERVICES
from polling import until
from search_server import fluent_bit
from search_server.oddities import lines as odd_lines

WRITTEN = [
    *odd_lines(),
    *(service_line("model", number) for number in range(200)),
    "Traceback (most recent call last):",
    '  File "x.py", line 1, in <module>',
    "",
    " \t",
    "text with an end of blanks  ",
    '{"message": "with a time of its own", "time": "noon", "stream": "mine", "log": "and a log"}',
    '{"no": "message"}',
    '["no", "object"]',
    "torn apart " + "in größe " * 9000,
]
INDEX_REFUSES = "odd: a null in a name"
"""Which therefore stands in the failure store."""


def comparable(sources: Iterable[Mapping[str, Any]]) -> list[str]:
    """Documents in an order, without what the cluster's API says of the pod."""
    bare = ({name: value for name, value in each.items() if name != "kubernetes"} for each in sources)
    return sorted(json.dumps(each, sort_keys=True) for each in bare)


@pytest.fixture(scope="session", autouse=True)
def the_program() -> None:
    """Fail before anything is started where there is none."""
    FluentBit.program()


class TestFluentBit(Cases):
    agent_type = FluentBit
    disk_a_line = 1_150
    # A bulk goes again as a whole: after a kill, and when its connection ends, also what was on its way.
    doubles = frozenset({"killed", "killed_while_hung", "refused", "hung", "half_refused", "unanswered"})

    def test_the_model_of_other_tests_does_the_same(self, scene: Scene) -> None:
        pod = Container(scene.logs, "dashcam", "model-5d8f7c9b6-x2x4z", "app")
        for text in WRITTEN:
            pod.write(text)
        pod.close()
        rows = pod.file.read_bytes().decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
        path = f"/var/log/pods/{pod.folder.parent.name}/app/0.log"
        modelled = [each.source for each in fluent_bit.FluentBit().documents(path, rows)]
        expected = comparable(each for each in modelled if each.get("message") != INDEX_REFUSES)
        assert len(expected) > 200

        query = {"size": 1000, "query": {"term": {"kubernetes.pod_name": pod.pod}}}

        def stored() -> list[Mapping[str, Any]]:
            scene.node.ask("POST", f"/{SERVICES}/_refresh")
            hits = scene.node.expect("POST", f"/{SERVICES}/_search", query)["hits"]["hits"]
            return [hit["_source"] for hit in hits]

        until(lambda: len(stored()) >= len(expected), "all lines are stored", within=60)
        assert comparable(stored()) == expected
        names = {name for each in stored() for name in each["kubernetes"]}
        assert names == {name for each in modelled for name in each["kubernetes"]}
