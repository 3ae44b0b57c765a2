"""The stack with the real Collector and the real Jaeger, and how these tests are spread over processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local.conftest import RunningStack, running
from realprograms import record_collector, record_jaeger
from verifying import Recorder
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, ran: Recorder) -> Iterator[RunningStack]:
    """What `make up BACKEND=jaeger` starts; its attributes are those of tests/local/conftest.py."""
    record_jaeger(ran)
    record_collector(ran)
    with running(tmp_path_factory.mktemp("stack"), BACKEND="jaeger") as started:
        yield started


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """With xdist a process takes a whole file, and all files that share the one Elasticsearch."""
    return OneElasticsearch(config, log)


class OneElasticsearch(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        path = str(super()._split_scope(nodeid))
        folder, _, _ = path.rpartition("/")
        return folder if folder.endswith("/search") else path
