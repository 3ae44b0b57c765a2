"""Which names and ports a new service may have, and what a refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashcam.registry.catalogue import Catalogue, Resource, Service
from dashcam.scaffold.choices import Refused, check_name, check_port, free_port

TILL = Service("till", 8010, 18010, "Takes money.", "sales", "/", "/")
SHOP = Catalogue("shop", "A shop.", (TILL,), (Resource("ledger", "What was paid.", "sales", "database"),))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "NAME='' cannot be used: give 2 to 30 lower-case letters and digits"),
        ("Orders", "NAME='Orders' cannot be used: give 2 to 30 lower-case letters"),
        ("my-orders", "NAME='my-orders' cannot be used"),
        ("1st", "a letter first, such as NAME=invoices"),
        ("../x", "NAME='../x' cannot be used"),
        ("o" * 31, "cannot be used: give 2 to 30"),
        ("import", "NAME='import' is a word of Python and cannot be a module: give another name"),
        ("till", "NAME='till' is taken by a service of services/catalogue.yaml: give another name"),
        ("ledger", "NAME='ledger' is taken by a resource of services/catalogue.yaml"),
        ("console", "NAME='console' is taken by a part of the stack"),
        ("receiver", "NAME='receiver' is taken by a part of the stack"),
        ("grafana", "NAME='grafana' is taken by the folder k8s/base/grafana"),
        ("faults", "NAME='faults' is taken by the folder services/faults"),
        ("new", "NAME='new' is taken by tests/contract/test_new_service.py"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_its_value_and_the_remedy(
    tmp_path: Path, name: str, says: str
) -> None:
    for folder in ("k8s/base/grafana", "services/faults"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tests/contract").mkdir(parents=True)
    (tmp_path / "tests/contract/test_new_service.py").touch()
    with pytest.raises(Refused) as caught:
        check_name(name, SHOP, tmp_path)
    assert says in str(caught.value)


def test_a_name_that_nothing_has_is_taken(tmp_path: Path) -> None:
    check_name("orders", SHOP, tmp_path)


@pytest.mark.parametrize(
    ("port", "says"),
    [
        (80, "PORT=80 cannot be used: give one from 1024 to 55535"),
        (60000, "PORT=60000 cannot be used: give one from 1024 to 55535, for the admin port is 10000 above"),
        (8010, "PORT=8010 is taken: 8010 is the port of till; give another, such as PORT=8020"),
        (18010, "18010 is the port of till's admin side"),
        (16686, "16686 is the port of"),
        (6686, "PORT=6686 is taken: 16686 is the port of"),
        (9090, "9090 is the port of prometheus"),
        (9200, "9200 is the port of elasticsearch"),
        (9464, "9464 is the port of the admin side of each service in a cluster"),
    ],
)
def test_a_port_that_is_taken_is_refused_with_its_owner_and_one_that_is_free(port: int, says: str) -> None:
    with pytest.raises(Refused) as caught:
        check_port(port, SHOP)
    assert says in str(caught.value)


def test_the_port_that_is_proposed_is_free() -> None:
    check_port(free_port(SHOP), SHOP)
