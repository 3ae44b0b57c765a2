"""docs/verified.md says what the tests claim, no more and no less, and of each what came of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from verified_page import NOT_RUN, PAGE, by_hand, claims
from verifying import Recorder, Row, read


def rows() -> set[tuple[str, str]]:
    """Component and claim of each row of the first table."""
    table = PAGE.read_text().partition("## Not run")[0]
    cells = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in table.splitlines() if "](../" in line]
    return {(each[0], each[3]) for each in cells if len(each) == 5}


def test_the_page_has_a_row_for_every_claim_of_a_test() -> None:
    stated = {(each.component, each.claim.replace("|", "\\|")) for each in claims()}
    assert rows() == stated, "`make verified` writes docs/verified.md, after the tests have run"


def test_what_was_not_run_is_said_with_reason_and_stand_in() -> None:
    text = PAGE.read_text()
    for entry in yaml.safe_load(NOT_RUN.read_text()):
        assert entry.keys() == {"what", "why", "instead"}
        assert all(part in text for part in entry.values())


def test_what_was_seen_by_hand_is_on_the_page() -> None:
    assert PAGE.read_text().endswith(by_hand())


def run(records: Path, test: str, *outcomes: str, version: str | None = "1.0") -> list[Row]:
    """One session with one test, its phases ending so; answers what is then on record."""
    recorder = Recorder(records)
    ran = {"version": version, "had": "installed", "pinned": ""} if version else None
    claimed = [("verifies", {"component": "It", "claim": "works", "ran": ran})]
    for outcome in outcomes:
        recorder.pytest_runtest_logreport(
            SimpleNamespace(nodeid=test, outcome=outcome, user_properties=claimed)  # type: ignore[arg-type]
        )
    recorder.pytest_sessionfinish(SimpleNamespace(config=object()))  # type: ignore[arg-type]
    return read(records / "tests.test_it.json")


@pytest.mark.parametrize(
    ("phases", "result"),
    [
        (("passed", "passed", "passed"), "passed"),
        (("failed", "passed"), "failed"),
        (("passed", "failed", "passed"), "failed"),
        (("passed", "passed", "failed"), "failed"),
        (("skipped", "passed"), "skipped"),
    ],
)
def test_a_test_passed_only_where_each_phase_did(
    tmp_path: Path, phases: tuple[str, ...], result: str
) -> None:
    (row,) = run(tmp_path, "tests/test_it.py::test_works", *phases)
    assert (row.component, row.claim, row.result) == ("It", "works", result)


def test_a_run_replaces_its_own_rows_and_keeps_those_of_other_tests(tmp_path: Path) -> None:
    run(tmp_path, "tests/test_it.py::test_one", "failed")
    run(tmp_path, "tests/test_it.py::test_two", "passed", version=None)
    rows = run(tmp_path, "tests/test_it.py::test_one", "passed", version="2.0")

    assert {row.test.partition("::")[2]: row.result for row in rows} == {
        "test_one": "passed",
        "test_two": "passed",
    }
    assert {row.ran.version if row.ran else None for row in rows} == {"2.0", None}
