"""dashcam.toml: what it lists is taken along, and a mistake names line, value and remedy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dashcam.cli.main import main
from dashcam.stack import own_file, programs
from dashcam.stack.own_file import BadFile, read_file
from dashcam.stack.settings import ROOT, read

MONOLITH = ROOT / "examples" / "monolith" / "dashcam.toml"
EXAMPLE = ("car", "minus")
GOOD = """\
# mine
[[programs]]
name = "shop"
command = "node 'my server.js'"
folder = "shop"
port = 5055
environment = { A = "b" }

[[programs]]
name = "jobs"
command = ["python", "-m", "jobs"]

[[targets]]
job = "database"
addresses = ["127.0.0.1:9187"]

[[logs]]
service = "nginx"
files = ["/var/log/nginx/*.log", "other.log"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dashcam.toml"
    path.write_text(GOOD)
    return path


def test_the_file_is_read(file: Path) -> None:
    found = read_file(file)
    shop, jobs = found.programs
    assert (shop.name, shop.command, shop.folder) == ("shop", ("node", "my server.js"), file.parent / "shop")
    assert (shop.port, shop.environment, jobs.command) == (5055, {"A": "b"}, ("python", "-m", "jobs"))
    assert found.targets == (("database", ("127.0.0.1:9187",)),)
    assert found.logs == (("nginx", "/var/log/nginx/*.log"), ("nginx", str(file.parent / "other.log")))


@pytest.mark.parametrize(
    ("good", "bad", "line", "says"),
    [
        ("port = 5055", "port = 70000", 6, "port = 70000: give a number from 1 to 65535"),
        ("port = 5055", 'port = "x"', 6, "port = 'x': give an integer"),
        ("port = 5055", "port = true", 6, "port = True: give an integer"),
        ("port = 5055", "prot = 5055", 6, "'prot' is no key of [[programs]]: use name, command"),
        ('name = "jobs"', 'name = "my jobs"', 10, "name = 'my jobs': give letters, digits"),
        ('name = "jobs"', 'name = "shop"', 10, "two programs are called 'shop': rename one"),
        ('name = "jobs"', "", 9, "[[programs]] needs 'name'"),
        ('"127.0.0.1:9187"', '"http://x"', 15, "give HOST:PORT"),
        ("[[logs]]", "[[log]]", 17, "'log' is not known here: use [[programs]], [[targets]], [[logs]]"),
        ('{ A = "b" }', "{ A = 1 }", 7, "give a string"),
        ("[[logs]]", "[[logs", 17, "not TOML"),
        (
            "port = 5055",
            'port = 1\nreplaces = ["car"]',
            6,
            "port = 1: a program that replaces 'car' is given",
        ),
        ("port = 5055", 'replaces = ["car"]\nmetrics_port = 1', 7, "given its ports: set CAR_ADMIN_PORT"),
    ],
)
def test_a_mistake_names_line_value_and_remedy(file: Path, good: str, bad: str, line: int, says: str) -> None:
    file.write_text(GOOD.replace(good, bad, 1))
    with pytest.raises(BadFile) as caught:
        read_file(file)
    assert says in str(caught.value)
    assert f"{file}:{line}:" in str(caught.value) or f"line {line}" in str(caught.value)


def test_the_schema_for_editors_is_of_the_same_declaration_and_agrees(file: Path, tmp_path: Path) -> None:
    assert json.loads(own_file.SCHEMA.read_text()) == own_file.schema(), (
        "run: python -m dashcam.stack.own_file"
    )
    for text, status in (
        (GOOD, 0),
        (GOOD.replace("5055", "70000"), 1),
        (GOOD.replace("[[logs]]", "[[log]]"), 1),
    ):
        file.write_text(text)
        command = [
            str(Path(sys.executable).with_name("check-jsonschema")),
            "--schemafile",
            str(own_file.SCHEMA),
            str(file),
        ]
        assert subprocess.run(command, capture_output=True).returncode == status, text


def test_its_programs_are_parts_of_the_stack_and_its_targets_are_scraped(file: Path, tmp_path: Path) -> None:
    settings = read({"DASHCAM_STATE_DIR": str(tmp_path / "state"), "DASHCAM_FILE": str(file)})
    parts = {part.name: part for part in programs.programs(settings)}
    assert parts["shop"].command[-2:] == (str(file), "shop")
    assert (parts["shop"].listens, parts["jobs"].listens) == ((5055,), ())
    programs.write_configurations(settings)
    found = json.loads((tmp_path / "state" / "prometheus" / "found" / "dashcam-toml.json").read_text())
    assert found == [{"targets": ["127.0.0.1:9187"], "labels": {"job": "database"}}]
    config = yaml.safe_load((tmp_path / "state" / "prometheus" / "prometheus.yml").read_text())
    (further,) = [job for job in config["scrape_configs"] if job["job_name"] == "further"]
    assert "found/*.json" in further["file_sd_configs"][0]["files"]
    followed = programs.common_environ(settings)["DASHCAM_LOG_FILES"]
    assert followed == f"nginx=/var/log/nginx/*.log;nginx={file.parent / 'other.log'}"
    assert read(settings.as_environ()) == settings


@pytest.mark.parametrize(
    ("name", "replaces"),
    [("car", ""), ("traffic", ""), ("minus", 'replaces = ["car"]'), ("console", 'replaces = ["car"]')],
)
def test_a_program_of_the_name_of_a_part_is_refused(file: Path, name: str, replaces: str) -> None:
    file.write_text(GOOD.replace('"shop"', f'"{name}"', 1).replace("port = 5055", replaces))
    with pytest.raises(BadFile, match=f"'{name}' is a part of the stack: rename"):
        programs.programs(read({"DASHCAM_FILE": str(file)}))


def test_a_program_may_not_have_the_name_of_a_service_that_another_replaces(file: Path) -> None:
    both = GOOD.replace("port = 5055", f"replaces = {json.dumps(EXAMPLE)}")
    file.write_text(both.replace('"jobs"', f'"{EXAMPLE[1]}"', 1))
    with pytest.raises(BadFile, match=f"'{EXAMPLE[1]}' is a part of the stack: rename"):
        programs.programs(read({"DASHCAM_FILE": str(file)}))


def test_a_program_that_replaces_services_has_their_place_ports_and_jobs(tmp_path: Path) -> None:
    settings = read({"DASHCAM_STATE_DIR": str(tmp_path), "DASHCAM_FILE": str(MONOLITH)})
    car, minus = EXAMPLE
    parts = {part.name: part for part in programs.programs(settings)}
    assert minus not in parts
    assert parts[car].command[-2:] == (str(MONOLITH), car)
    assert parts[car].listens == (settings.port(car),)
    environ = programs.common_environ(settings)
    assert environ[f"{minus.upper()}_URL"] == environ[f"{car.upper()}_URL"]
    programs.write_configurations(settings)
    config = yaml.safe_load((tmp_path / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    assert jobs[car]["static_configs"] == jobs[minus]["static_configs"]
    dropped = {name: jobs[name]["metric_relabel_configs"][0] for name in EXAMPLE}
    for name, route in ((car, "/cars/<string:maker>"), (minus, "/minus")):
        other = minus if name == car else car
        assert re.fullmatch(dropped[other]["regex"], route)
        assert not re.fullmatch(dropped[name]["regex"], route)
        assert dropped[name]["action"] == "drop"


@pytest.mark.parametrize(
    ("replaces", "says"),
    [('["nothing"]', "replaces 'nothing': use one of web"), ('["car", "car"]', "'car' is replaced twice")],
)
def test_a_service_that_is_not_there_or_replaced_twice_is_refused(
    file: Path, replaces: str, says: str
) -> None:
    file.write_text(GOOD.replace("port = 5055", f"replaces = {replaces}"))
    with pytest.raises(BadFile, match=says):
        programs.programs(read({"DASHCAM_FILE": str(file)}))


def test_add_writes_the_file_and_leaves_the_rest_of_it_as_it_is(file: Path) -> None:
    run = CliRunner()
    done = run.invoke(main, ["add", "target", "queue", "127.0.0.1:9000", "-f", str(file)])
    assert done.exit_code == 0, done.output
    done = run.invoke(main, ["add", "logs", "queue", '/var/log/"q"/*.log', "-f", str(file)])
    assert done.exit_code == 0, done.output
    assert file.read_text().startswith(GOOD)
    assert read_file(file).targets[-1] == ("queue", ("127.0.0.1:9000",))
    assert read_file(file).logs[-1] == ("queue", '/var/log/"q"/*.log')


def test_add_refuses_what_cannot_be_and_leaves_the_file_alone(file: Path, tmp_path: Path) -> None:
    run = CliRunner()
    refused = run.invoke(main, ["add", "target", "queue", "http://x/", "-f", str(file)])
    assert refused.exit_code == 1
    assert "give HOST:PORT" in refused.output
    assert file.read_text() == GOOD
    new = tmp_path / "new.toml"
    assert run.invoke(main, ["add", "target", "a b", "x:1", "-f", str(new)]).exit_code == 1
    assert not new.exists()
