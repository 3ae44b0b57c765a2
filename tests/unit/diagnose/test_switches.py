"""`dashcam fault`: the file of flags, and what is said of a name that nobody knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dashcam.cli.fault import fault
from dashcam.sources.switches import Switches, UnknownFault


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DASHCAM_FAULTS_FILE", str(tmp_path / "faults.json"))
    return tmp_path / "faults.json"


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(fault, arguments)
    return done.exit_code, done.output


def test_a_fault_is_on_until_it_is_switched_off(path: Path) -> None:
    assert run("on", "car-memory-leak")[0] == 0
    assert json.loads(path.read_text())["flags"]["car-memory-leak"]["state"] == "ENABLED"
    assert "on   car-memory-leak" in run("list")[1]
    assert run("off", "car-memory-leak")[0] == 0
    assert "off  car-memory-leak" in run("list")[1]


def test_all_faults_are_switched_off_at_once(path: Path) -> None:
    run("on", "car-memory-leak")
    run("on", "car-cpu-burn")
    assert run("off", "--all") == (0, "all faults are off\n")
    assert not any(flag.enabled for flag in Switches(path).all().values())


def test_switching_one_leaves_the_others_as_they_are(path: Path) -> None:
    run("on", "car-memory-leak")
    run("on", "car-cpu-burn")
    assert {name for name, flag in Switches(path).all().items() if flag.enabled} == {
        "car-memory-leak",
        "car-cpu-burn",
    }


def test_an_unknown_name_is_told_with_the_known_ones(path: Path) -> None:
    status, said = run("on", "car-memory-laek")
    assert status == 1
    assert "'car-memory-laek'" in said
    assert "car-memory-leak" in said
    assert not path.exists()
    with pytest.raises(UnknownFault):
        Switches(path).set("x", True)


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000], ids=["cut", "no text", "deep"])
def test_a_broken_file_is_told_and_not_overwritten(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for arguments in (("on", "car-memory-leak"), ("list",)):
        status, said = run(*arguments)
        assert status == 1
        assert "not a file of flags" in said
    assert path.read_bytes() == content


def test_a_flag_whose_metadata_cannot_be_used_is_told(path: Path) -> None:
    flag = {"state": "ENABLED", "variants": {"on": {}}, "defaultVariant": "on", "metadata": "car.request"}
    path.write_text(json.dumps({"flags": {"mine": flag}}))
    assert "the flag mine has the metadata 'car.request'" in run("list")[1]


def test_off_asks_for_a_name_or_all(path: Path) -> None:
    assert run("off")[0] == 2
    assert run("off", "car-memory-leak", "--all")[0] == 2


def test_the_list_is_json_for_programs(path: Path) -> None:
    faults = json.loads(run("list", "--json")[1])["faults"]
    assert faults["car-memory-leak"]["on"] is False
    assert faults["car-memory-leak"]["point"] == "car.request"
