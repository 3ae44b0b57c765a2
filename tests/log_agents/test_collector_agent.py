"""The OpenTelemetry Collector as the log agent of a node: `make test-log-agent`."""

from __future__ import annotations

import pytest
from log_agents.agents import Collector
from log_agents.cases import Cases
from realprograms import K8S, pinned
from verifying import Recorder

from dashcam.stack.build_tools import version_of
from dashcam.stack.tools import COLLECTOR_AGENT

COMPONENT = "OpenTelemetry Collector as log agent"


@pytest.fixture(scope="session", autouse=True)
def the_collector(ran: Recorder) -> None:
    """Say which one this run has."""
    given = COLLECTOR_AGENT.given()
    wanted = pinned(K8S / "components/log-agent-collector/agent/daemonset.yaml")
    version = version_of(given) if given else COLLECTOR_AGENT.version
    ran(COMPONENT, version=version, had=COLLECTOR_AGENT.had(), pinned=wanted)


@pytest.mark.verifies(
    component=COMPONENT,
    claim="loses no line and stores none twice: killed, refused, hung up on, refused in part, unanswered, "
    "not let in, over rotations and starts, over TLS",
)
class TestCollector(Cases):
    agent_type = Collector
    disk_a_line = 1_900
