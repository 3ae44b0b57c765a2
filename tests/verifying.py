"""What was proven on real programs, kept for each test, from which `make verified` writes docs/verified.md.

A test says what it proves, and of what, in literal strings:

    @pytest.mark.verifies(component="Jaeger", claim="finds a trace by each of its attributes")

The fixture that starts or finds the program says which one it was:

    @pytest.fixture(scope="session")
    def jaeger(ran: Recorder) -> str:
        ran("Jaeger", version="2.13.0", had="built from its Go module", pinned="2.20.0")

Each run keeps its rows in .dashcam/verified/, one file for each test module; rows of tests that did not
run this time stay. It works under xdist too.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

RECORDS = Path(__file__).parents[1] / ".dashcam" / "verified"
MARK = "verifies(component, claim): what the test proves of a real program, for docs/verified.md"


@dataclass(frozen=True)
class Ran:
    """A program that was run. `had` says how it was had, `pinned` the manifests' version where it differs."""

    version: str
    had: str
    pinned: str = ""


@dataclass(frozen=True)
class Row:
    """One test case and one of its claims; `ran` is None when the program never came up."""

    test: str
    component: str
    claim: str
    result: str
    day: str
    ran: Ran | None


class Recorder:
    """Collects the rows of a session, in the process that runs the tests and in the one that leads."""

    def __init__(self, records: Path = RECORDS) -> None:
        self._records = records
        self._ran: dict[str, Ran] = {}
        self._rows: dict[tuple[str, str, str], Row] = {}

    def __call__(self, component: str, *, version: str, had: str, pinned: str = "") -> None:
        """Say which program `component` is in this run."""
        self._ran[component] = Ran(version, had, pinned)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        for mark in item.iter_markers("verifies"):
            program = self._ran.get(mark.kwargs["component"])
            claimed = {**mark.kwargs, "ran": asdict(program) if program else None}
            report.user_properties.append(("verifies", claimed))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, claimed in report.user_properties:
            if name != "verifies" or not isinstance(claimed, dict):
                continue
            key = (report.nodeid, claimed["component"], claimed["claim"])
            before = self._rows.get(key)
            # A failure of any phase is the result, whatever comes after it.
            result = before.result if before and before.result != "passed" else report.outcome
            ran = Ran(**claimed["ran"]) if claimed["ran"] else None
            self._rows[key] = Row(*key, result, datetime.datetime.now(datetime.UTC).date().isoformat(), ran)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workerinput"):
            return  # the leading process has all the reports
        by_module: dict[str, list[Row]] = {}
        for row in self._rows.values():
            by_module.setdefault(row.test.partition("::")[0], []).append(row)
        for module, rows in by_module.items():
            path = self._records / (module.replace("/", ".").removesuffix(".py") + ".json")
            tests = {row.test for row in rows}
            kept = [row for row in (read(path) if path.exists() else []) if row.test not in tests]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps([asdict(row) for row in [*kept, *rows]], indent=1))


def read(path: Path) -> list[Row]:
    """The rows of one file of the records."""
    rows = json.loads(path.read_text())
    return [Row(**{**row, "ran": Ran(**row["ran"]) if row["ran"] else None}) for row in rows]


_RECORDER = pytest.StashKey[Recorder]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)
    config.stash[_RECORDER] = recorder = Recorder()
    config.pluginmanager.register(recorder, "verified-recorder")


@pytest.fixture(scope="session")
def ran(pytestconfig: pytest.Config) -> Recorder:
    """Call it with a component's name and the fields of `Ran` once the program is there."""
    return pytestconfig.stash[_RECORDER]
