"""What happens to log lines when something goes wrong: the same for every agent.

An agent's own module inherits them, and says what it may store twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from log_agents.agents import Agent
from log_agents.gate import Gate
from log_agents.node import Container, Writing, service_line
from log_agents.stored import CLUSTER, SERVICES, arrived, verdict
from polling import until
from search_server.certificates import secret
from search_server.server import Elasticsearch

RATE = 300.0
"""Lines a second of the service; the other container writes a tenth of it."""
POD = "car-5d8f7c9b6-x2x4z"
OTHER = ("kube-system", "coredns-7db6d8ff4d-abcde", "coredns", "1f7c5a4e-0d55-4d5c-9c39-1d3a3f5f0a11")
OUTAGE_LINES = 20_000
ARRIVED_WITHIN = 120.0
"""Until all is delivered: agents wait up to half a minute between two tries."""


@dataclass
class Scene:
    """A node with a service and another container that write, an agent, and what it sends to."""

    agent: Agent
    gate: Gate
    logs: Path
    service: Container
    other: Container
    node: Elasticsearch
    case: str

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Both containers write; afterwards `outcome` knows how much."""
        self.of_service = Writing(self.service, self.case, RATE)
        self.of_other = Writing(self.other, self.case, RATE / 10, plain=True)
        with self.of_service.running(), self.of_other.running():
            yield

    def outcome(self) -> dict[str, str]:
        """Of each stream what became of its lines."""
        return self.settled({SERVICES: self.of_service.written, CLUSTER: self.of_other.written}, self.case)

    def settled(self, written: dict[str, int], case: str) -> dict[str, str]:
        """The verdicts, once all lines have arrived, or the time is up, and nothing more is sent."""

        def counted() -> dict[str, Counter[int]]:
            return {stream: arrived(self.node, stream, case) for stream in written}

        with suppress(AssertionError):  # which are missing, the verdict says
            until(
                lambda: all(len(found) >= written[stream] for stream, found in counted().items()),
                f"the lines of {case}",
                within=ARRIVED_WITHIN,
                every=1,
            )
        # A second try of what has arrived already may be on its way.
        until(self.idle, "nothing is sent any more", within=ARRIVED_WITHIN)
        return {stream: verdict(found, written[stream]) for stream, found in counted().items()}

    def idle(self) -> bool:
        """Whether no bulk request has come for three seconds."""
        before = self.gate.bulks
        time.sleep(3)
        return self.gate.bulks == before


def none_lost(written: dict[str, str]) -> None:
    """No line is missing; some may be there twice."""
    assert all(said.startswith("0 of ") for said in written.values()), written


class Cases:
    """The cases. `agent_type` is the agent; `doubles` are the cases in which it may store lines twice."""

    agent_type: type[Agent]
    doubles: frozenset[str] = frozenset()
    disk_a_line: float
    """Bytes; k8s/README.md reckons with them."""

    @pytest.fixture
    def scene(self, ready: Elasticsearch, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
        """A fresh node, written to `ready`."""
        with self.made(ready, tmp_path, request.node.name.removeprefix("test_")) as made:
            yield made

    @contextmanager
    def made(
        self, node: Elasticsearch, folder: Path, name: str, certificates: Path | None = None
    ) -> Iterator[Scene]:
        with ExitStack() as stack:
            logs = folder / "log"
            logs.mkdir()
            gate = Gate(node.url, certificates)
            stack.callback(gate.close)
            service = Container(logs, "dashcam", POD, "app")
            other = Container(logs, *OTHER)
            stack.callback(service.close)
            stack.callback(other.close)
            agent = self.agent_type(folder / "agent", logs, gate, certificates)
            stack.callback(agent.kill)
            agent.start()
            yield Scene(agent, gate, logs, service, other, node, name.replace("_", ""))

    def judge(self, name: str, written: dict[str, str]) -> None:
        """No line lost; and none twice, but in the cases that say so."""
        print(f"{self.agent_type.workload}, {name}: {written}")
        none_lost(written)
        if name not in self.doubles:
            assert all(said.endswith(" 0 doubled") for said in written.values()), written

    def test_killed(self, scene: Scene) -> None:
        with scene.writing():
            for _ in range(5):
                time.sleep(2)  # lines are written meanwhile
                scene.agent.kill()
                scene.agent.start()
            time.sleep(3)
        self.judge("killed", scene.outcome())

    def test_refused(self, scene: Scene) -> None:
        with scene.writing():
            time.sleep(3)
            scene.gate.refuse()
            time.sleep(15)
            scene.gate.listen()
            time.sleep(2)
        self.judge("refused", scene.outcome())

    def test_hung(self, scene: Scene) -> None:
        # The kubelet's five files hold some ten seconds of this: who does not read on loses the rest.
        scene.service.rotate_at = 300_000
        with scene.writing():
            time.sleep(3)
            scene.gate.hang()
            time.sleep(45)
            scene.gate.recover()
            time.sleep(2)
        self.judge("hung", scene.outcome())

    @pytest.mark.parametrize("how", ["refuse", "hang"])
    def test_an_outage_costs_the_disk_that_is_said(self, scene: Scene, how: str) -> None:
        scene.service.write(service_line("first", 0))  # from then on the agent knows the pod
        until(lambda: arrived(scene.node, SERVICES, "first"), "the first line", within=60)
        getattr(scene.gate, how)()
        before = scene.agent.buffered()
        for number in range(OUTAGE_LINES):
            scene.service.write(service_line(scene.case, number))
        until(scene.agent.has_read, "the agent has read all", within=60, every=1)
        cost = (scene.agent.buffered() - before) / OUTAGE_LINES
        print(f"{scene.agent.workload}: {cost:.0f} bytes of disk a line of {len(service_line('x', 9999))}")
        assert cost < self.disk_a_line

    def test_killed_while_hung(self, scene: Scene) -> None:
        with scene.writing():
            time.sleep(2)
            scene.gate.hang()
            time.sleep(5)
            scene.agent.kill()
            scene.agent.start()
            time.sleep(3)
            scene.gate.recover()
        self.judge("killed_while_hung", scene.outcome())

    def test_half_refused(self, scene: Scene) -> None:
        scene.gate.half_refused = 6
        with scene.writing():
            until(lambda: scene.gate.half_refused == 0, "six bulks were refused in part", within=60)
            time.sleep(2)
        assert scene.gate.refused_items > 20
        self.judge("half_refused", scene.outcome())

    def test_unanswered(self, scene: Scene) -> None:
        scene.gate.answers_lost = 4
        with scene.writing():
            until(lambda: scene.gate.answers_lost == 0, "four answers were lost", within=60)
            time.sleep(2)
        self.judge("unanswered", scene.outcome())

    def test_not_let_in(self, scene: Scene) -> None:
        with scene.writing():
            time.sleep(2)
            scene.gate.status = 401  # the password was changed, and the agent's Secret not yet
            time.sleep(8)
            scene.gate.status = 0
            time.sleep(2)
        self.judge("not_let_in", scene.outcome())

    def test_rotated(self, scene: Scene) -> None:
        scene.service.rotate_at = scene.other.rotate_at = 200_000
        with scene.writing():
            time.sleep(12)
        assert len(list(scene.service.folder.iterdir())) == 5
        self.judge("rotated", scene.outcome())

    def test_rotated_while_away(self, scene: Scene) -> None:
        with scene.writing():
            time.sleep(3)
            scene.agent.stop()
            time.sleep(2)
            scene.service.rotate()
            scene.other.rotate()
            time.sleep(1)
            scene.agent.start()
            time.sleep(2)
        self.judge("rotated_while_away", scene.outcome())

    def test_new_files_while_away(self, scene: Scene) -> None:
        with scene.writing():
            time.sleep(2)
            scene.agent.stop()
            uid = "2f7c5a4e-0d55-4d5c-9c39-1d3a3f5f0a11"
            crashed = Container(scene.logs, "kube-system", "new-7db6d8ff4d-abcde", "crash", uid)
            for number in range(50):
                crashed.write(f"crashmessages {number}", "stderr")
            crashed.close()
            time.sleep(1)
            scene.agent.start()
            time.sleep(2)
        self.judge("new_files_while_away", scene.outcome())
        crash = scene.settled({CLUSTER: 50}, "crashmessages")
        self.judge("new_files_while_away", crash)

    def test_over_tls(self, ready: Elasticsearch, tmp_path: Path) -> None:
        certificates = secret(tmp_path / "certificates")
        with self.made(ready, tmp_path, "over_tls", certificates) as scene:
            with scene.writing():
                time.sleep(3)
            self.judge("over_tls", scene.outcome())

    def test_no_word_to_one_whom_the_ca_does_not_know(self, ready: Elasticsearch, tmp_path: Path) -> None:
        with self.made(ready, tmp_path, "impostor", secret(tmp_path / "certificates")) as scene:
            scene.gate.refuse()
            impostor = Gate(ready.url, secret(tmp_path / "others"), scene.gate.port)
            try:
                with scene.writing():
                    time.sleep(5)
                assert impostor.connections > 0
                assert impostor.bulks == 0
            finally:
                impostor.close()
            scene.gate.listen()
            self.judge("impostor", scene.outcome())
