"""Configurations that each start writes: a person's additions are merged, a person's changes are kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from dashcam.stack import generated_file, programs
from dashcam.stack.own_file import BadFile
from dashcam.stack.settings import read

OURS = "# ours\nglobal: {scrape_interval: 5s, external_labels: {a: b}}\nscrape_configs: [{job_name: web}]\n"


def test_without_anything_of_a_person_the_text_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "x.yml"
    assert generated_file.write(path, OURS) == []
    assert path.read_text() == OURS
    assert generated_file.write(path, OURS + "\n") == [], "a new version is no change of a person's"


def test_what_a_person_adds_is_merged_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    (tmp_path / "own.yml").write_text(
        "global: {external_labels: {team: cars}}\n"
        "scrape_configs: [{job_name: mine}]\nremote_write: [{url: u}]\n"
    )
    for _ in range(2):
        assert generated_file.write(path, OURS) == []
        assert yaml.safe_load(path.read_text()) == {
            "global": {"scrape_interval": "5s", "external_labels": {"a": "b", "team": "cars"}},
            "scrape_configs": [{"job_name": "web"}, {"job_name": "mine"}],
            "remote_write": [{"url": "u"}],
        }


def test_a_file_that_was_changed_by_hand_is_kept_and_named_each_time(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    generated_file.write(path, OURS)
    for number in (1, 2):
        path.write_text(f"mine: {number}\n")
        (told,) = generated_file.write(path, OURS)
        assert f"x.yml.kept-{number}" in told
        assert str(tmp_path / "own.yml") in told
        assert (tmp_path / f"x.yml.kept-{number}").read_text() == f"mine: {number}\n"
        assert path.read_text() == OURS


def test_a_key_without_anything_takes_nothing_away(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    (tmp_path / "own.yml").write_text(
        "scrape_configs:\n  # - {job_name: later}\nglobal: {external_labels: }\n"
    )
    generated_file.write(path, OURS)
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(OURS)


def test_a_file_that_is_no_text_is_kept_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "x.yml"
    generated_file.write(path, OURS)
    path.write_bytes(b"na\xefve: 1\n")
    generated_file.write(path, OURS)
    assert (tmp_path / "x.yml.kept-1").read_bytes() == b"na\xefve: 1\n"


@pytest.mark.parametrize(
    "bad", ["a: [", "- a\n", "just words", "scrape_configs: {job_name: x}", "global: [a]"]
)
def test_a_mistake_names_the_file(tmp_path: Path, bad: str) -> None:
    (tmp_path / "own.yml").write_text(bad)
    with pytest.raises(BadFile, match=r"own\.yml"):
        generated_file.write(tmp_path / "x.yml", OURS)


def test_the_stack_takes_a_persons_scrape_config_along(tmp_path: Path) -> None:
    settings = dataclasses.replace(read({}), state_dir=tmp_path)
    (tmp_path / "prometheus").mkdir()
    (tmp_path / "prometheus" / "own.yml").write_text("scrape_configs: [{job_name: mine}]\n")
    assert programs.write_configurations(settings) == []
    page = yaml.safe_load((tmp_path / "prometheus" / "prometheus.yml").read_text())
    jobs = [one["job_name"] for one in page["scrape_configs"]]
    assert jobs[-1] == "mine"
    assert {"web", "otlp", "further"} <= set(jobs)
