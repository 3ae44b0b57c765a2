"""Whether a version fits what runs: by the contracts of both sides, each of the version that it is of."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from dashcam.cli.main import main
from dashcam.cli.releases import _of_prometheus as of_prometheus
from dashcam.registry import releases
from dashcam.registry.catalogue import ROOT, load
from dashcam.version import VERSION

CATALOGUE = load()
RUNNING = dict.fromkeys(CATALOGUE.names, ("1",))
HERE = releases.read_contracts(None, VERSION)


def found(
    service: str,
    changed: Callable[[Any], None] = lambda contracts: None,
) -> list[str]:
    """The misfits of `service` where all that runs has the checkout's contracts, but for what is changed."""
    theirs = copy.deepcopy({pair: dict(each) for pair, each in HERE.items()})
    changed(theirs)
    read = {None: HERE, "1": theirs}.__getitem__
    return [str(each) for each in releases.misfits(service, RUNNING, CATALOGUE, read)]


@pytest.mark.parametrize("service", CATALOGUE.names)
def test_a_version_fits_those_with_the_same_contracts(service: str) -> None:
    assert found(service) == []


def test_a_consumer_that_runs_and_expects_another_answer_is_named_with_the_place() -> None:
    def other(contracts: Any) -> None:
        contracts["web", "car"]["a quote"]["response"]["status"] = 201

    (why,) = found("car", other)
    assert (
        why
        == "web -> car: «a quote» is another for this version of car: response.status is 200, 201 is expected"
    )


def test_a_provider_that_runs_and_was_never_asked_so_is_named_with_its_version() -> None:
    def older(contracts: Any) -> None:
        del contracts["car", "minus"]["a difference"]

    (why,) = found("car", older)
    assert why == "car -> minus: «a difference» is asked, and minus 1 was never tested for it"


def test_what_a_message_holds_counts_for_who_hears_it() -> None:
    def other(contracts: Any) -> None:
        contracts["orders", "dealer"]["granted"]["description"] = "granted"
        contracts["orders", "dealer"]["granted"]["contents"] = {}

    assert [why.partition(":")[0] for why in found("dealer", other)] == ["orders -> dealer"]


def test_a_service_that_is_needed_and_does_not_run_is_a_misfit() -> None:
    running = {name: ["1"] for name in CATALOGUE.names if name != "minus"}
    (why,) = releases.misfits("car", running, CATALOGUE, lambda version: HERE)
    assert str(why) == "car -> minus: minus does not run, and car depends on it"


def test_each_of_two_versions_that_run_side_by_side_is_asked() -> None:
    other = copy.deepcopy({pair: dict(each) for pair, each in HERE.items()})
    other["web", "car"]["a quote"]["response"]["status"] = 201
    del other["car", "minus"]["a difference"]
    read = {None: HERE, "1": HERE, "0": other}.__getitem__
    for versions in (["0", "1"], ["1", "0"]):
        running = RUNNING | {"web": versions, "minus": versions}
        found = releases.misfits("car", running, CATALOGUE, read)
        assert [(each.consumer, each.provider) for each in found] == [("car", "minus"), ("web", "car")]


def test_prometheus_tells_of_all_versions_of_a_service_that_runs() -> None:
    rows = [("car", "0.1"), ("car", "0.2"), ("web", "0.2"), ("prometheus", "3.0")]
    samples = [SimpleNamespace(labels={"job": job, "service_version": version}) for job, version in rows]
    sources = SimpleNamespace(metrics=SimpleNamespace(instant=lambda query: samples))
    session: Any = SimpleNamespace(sources=sources)
    assert of_prometheus(session, CATALOGUE.names) == {"car": ["0.1", "0.2"], "web": ["0.2"]}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout whose tag v1.0 has the contracts of this one, and whose files have less of car and minus."""
    shutil.copytree(ROOT / releases.FOLDER, tmp_path / releases.FOLDER)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    before = (["init", "-q"], ["commit", "-qm", "none", "--allow-empty"], ["tag", "v0.9"])
    for words in (*before, ["add", "."], ["commit", "-qm", "one"], ["tag", "v1.0"]):
        subprocess.run([*git, *words], check=True)
    path = tmp_path / releases.FOLDER / "car-minus.json"
    document = json.loads(path.read_text())
    document["interactions"] = document["interactions"][:1]
    path.write_text(json.dumps(document))
    return tmp_path


def test_the_contracts_of_a_version_are_those_of_its_tag(repository: Path) -> None:
    tagged = releases.read_contracts("1.0", "2.0", repository)
    assert tagged == HERE
    present = releases.read_contracts("2.0", "2.0", repository)
    assert len(present["car", "minus"]) == 1 < len(tagged["car", "minus"])
    with pytest.raises(releases.UnknownVersion, match=r"no tag v3\.0"):
        releases.read_contracts("3.0", "2.0", repository)
    with pytest.raises(releases.UnknownVersion, match=r"0\.9 has nothing in services/contracts"):
        releases.read_contracts("0.9", "2.0", repository)


def test_without_git_the_files_stand_for_their_own_version_alone(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert len(releases.read_contracts("1.0", "1.0", repository)["car", "minus"]) == 1
    with pytest.raises(releases.UnknownVersion, match=r"no tag v1\.0"):
        releases.read_contracts("1.0", "2.0", repository)


@pytest.mark.parametrize(
    ("service", "versions", "status", "says"),
    [
        ("car", dict.fromkeys(CATALOGUE.names, VERSION), 0, "fits"),
        ("car", {"web": VERSION}, 1, "minus does not run"),
        ("car", {"web": "999.0", "minus": VERSION}, 2, "there is no tag v999.0"),
        ("nothing", {"web": VERSION}, 2, "there is no service 'nothing'"),
        ("car", {"wbe": VERSION, "minus": VERSION}, 2, "there is no service 'wbe'"),
        ("minus", {"car": [VERSION, "999.0"]}, 2, "there is no tag v999.0"),
        ("car", ["web"], 2, "give an object of versions by service"),
        ("minus", {}, 2, "give an object of versions by service"),
        ("minus", {"car": ""}, 2, "give an object of versions by service"),
        ("minus", {"car": []}, 2, "give an object of versions by service"),
        ("minus", {"car": [VERSION, 2]}, 2, "give an object of versions by service"),
    ],
)
def test_the_command_answers_by_its_status(
    tmp_path: Path, service: str, versions: Any, status: int, says: str
) -> None:
    path = tmp_path / "running.json"
    path.write_text(json.dumps(versions))
    done = CliRunner().invoke(main, ["can-release", service, "--running", str(path)])
    assert done.exit_code == status, done.output
    assert says in done.output
