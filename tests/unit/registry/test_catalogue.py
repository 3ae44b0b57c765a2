"""services/catalogue.yaml: what is read from it, and the message for what may not stand there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from dashcam.registry import catalogue
from dashcam.registry.catalogue import Catalogue, CatalogueError, load

GOOD = """\
system: {name: shop, description: A shop.}
owners:
  sales: {description: They sell.}
resources:
  ledger: {description: What was paid., owner: sales, type: database}
every_service:
  dashboards: [{title: Service, path: "d/service?name={service}"}]
  runbooks: [ServiceDown]
services:
  front:
    port: 6000
    description: The pages.
    owner: sales
    depends_on: [till, ledger]
    example: /hello
    home: /
  till:
    port: 6001
    admin_port: 7001
    description: Takes money.
    owner: sales
    example: /sums?x=1
    runbooks: [DependencyDown, ServiceDown]
    objectives:
      - name: till-availability
        sli: availability
        objective: 99.9
        about: Sums are answered.
"""


def written(folder: Path, text: str = GOOD) -> Path:
    path = folder / "catalogue.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Catalogue:
    return load(written(tmp_path))


def test_the_services_are_read_in_their_order(good: Catalogue) -> None:
    front, till = good.services
    assert (front.name, front.port, front.admin_port) == ("front", 6000, 16000)
    assert (till.name, till.port, till.admin_port) == ("till", 6001, 7001)
    assert (front.home, till.home) == ("/", "/sums?x=1")
    assert [slo["name"] for slo in till.objectives] == ["till-availability"]


def test_what_holds_for_each_service_is_there_for_each_once(good: Catalogue) -> None:
    front, till = good.services
    assert [board.path for board in front.dashboards] == ["d/service?name=front"]
    assert (front.runbooks, till.runbooks) == (("ServiceDown",), ("ServiceDown", "DependencyDown"))


def test_callers_and_called_are_known_from_both_ends(good: Catalogue) -> None:
    assert [each.name for each in good.called_by("front")] == ["till"]
    assert good.callers("till") == good.callers("ledger") == ("front",)
    assert good.callers("front") == ()


def test_a_service_that_is_not_there_is_named_with_those_that_are(good: Catalogue) -> None:
    with pytest.raises(CatalogueError, match="there is no service 'tills'; there are front, till"):
        good.service("tills")


def test_without_the_file_there_are_no_services(tmp_path: Path) -> None:
    assert load(tmp_path / "catalogue.yaml").services == ()


BY_SCHEMA = [
    ("port: 6000", "port: 80", 11, "services.front.port = 80: give a number from 1024 to 55535"),
    ("port: 6000", "port: '6000'", 11, "services.front.port = '6000': give an integer"),
    ("port: 6000", "port: true", 11, "services.front.port = True: give an integer"),
    ("port: 6000", "prot: 6000", 11, "'prot' is not known here: use port, admin_port"),
    ("    port: 6000\n", "", 10, "services.front: port is missing"),
    ("home: /", "house: /", 16, "'house' is not known here: use port, admin_port"),
    ("The pages.", "The pages", 12, "= 'The pages': give one line, a sentence with a full stop"),
    ("/hello", "hello", 15, "services.front.example = 'hello': give a path that begins with /"),
    ("  till:", "  the-till:", 17, "'the-till' is no name for this: give 2 to 30 lower-case letters"),
    ("sli: availability", "sli: beauty", 26, "sli = 'beauty': give one of availability, latency"),
    ("objective: 99.9", "objective: 999", 27, "give a number from 1 to 99.999"),
    ("[till, ledger]", "till", 14, "depends_on = 'till': give a list"),
    (
        "runbooks: [ServiceDown]",
        "runbooks: [service-down]",
        8,
        "give the name of a page in dashboards",
    ),
    ("owners:", "owner:", 2, "'owner' is not known here: use system, owners, resources"),
]
BEYOND_SCHEMA = [
    (
        "[till, ledger]",
        "[till, legder]",
        14,
        "= 'legder': neither a service nor a resource: use one of",
    ),
    ("    owner: sales\n    depends", "    owner: sails\n    depends", 13, "= 'sails': not among the owners"),
    ("port: 6001", "port: 6000", 18, "port 6000 is front's already: give another port"),
    ("admin_port: 7001", "admin_port: 16000", 19, "admin_port 16000 is front's already"),
    ("Takes money.\n", "Takes money.\n    depends_on: [front]\n", 14, "till needs front in turn"),
    ("  ledger:", "  front:", 5, "a service has this name too: rename one"),
    ("  till:", "  front:", 17, "'front' stands here twice: take one away"),
    ("services:", "services: [", 0, "not YAML"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "says"), BY_SCHEMA + BEYOND_SCHEMA)
def test_a_mistake_names_file_line_value_and_remedy(
    tmp_path: Path, right: str, wrong: str, line: int, says: str
) -> None:
    path = written(tmp_path, GOOD.replace(right, wrong, 1))
    with pytest.raises(CatalogueError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}:" if line else f"{path}: ")


def complaints_of_a_validator(text: str) -> list[Any]:
    schema = json.loads(catalogue.SCHEMA.read_text())
    return list(jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(text)))


def test_editors_find_what_the_schema_forbids_and_nothing_else() -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(catalogue.SCHEMA.read_text()))
    for right, wrong, *_ in BY_SCHEMA:
        assert complaints_of_a_validator(GOOD.replace(right, wrong, 1)), wrong
    assert complaints_of_a_validator(GOOD) == []
    assert complaints_of_a_validator(catalogue.PATH.read_text()) == []


def test_what_our_own_catalogue_names_is_there() -> None:
    ours = load()
    root = catalogue.ROOT
    for service in ours.services:
        for name in ("__main__.py", "app.py", "openapi.yaml", "requirements.txt", "README.md"):
            assert (root / "services" / service.name / name).exists(), f"{service.name}/{name}"
        for runbook in service.runbooks:
            assert (root / "dashboards" / "runbooks" / f"{runbook}.md").exists(), runbook
        for board in service.dashboards:
            uid = board.path.removeprefix("d/").partition("?")[0]
            assert (root / "dashboards/generated/grafana/dashboards" / f"{uid}.json").exists(), board.path
    folders = {path.parent.name for path in (root / "services").glob("*/app.py")}
    assert folders == set(ours.names), "a folder without an entry, or an entry without a folder"
