"""What is made from the catalogue: the same as what lies in the checkout, and true of the catalogue."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dashcam.registry import __main__ as command
from dashcam.registry import generated
from dashcam.registry.catalogue import ROOT, Catalogue, Service, load


def catalogue(*services: Service) -> Catalogue:
    return Catalogue("shop", "A shop.", services)


def service(name: str, port: int, *needs: str) -> Service:
    return Service(name, port, port + 10000, "Sells.", "sales", "/", "/", needs)


def test_the_files_of_this_checkout_are_what_the_catalogue_gives() -> None:
    assert generated.differences(load()) == []


def test_a_stale_file_is_named_with_the_command_that_writes_it(tmp_path: Path) -> None:
    shop = catalogue(service("front", 6000))
    assert generated.write(shop, tmp_path) == list(generated.files(shop))
    assert generated.differences(shop, tmp_path) == []
    grown = dataclasses.replace(shop, services=(*shop.services, service("till", 6001)))
    assert "services/requirements.in" in generated.differences(grown, tmp_path)


def test_the_check_fails_with_the_command_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(command.main, ["--check"]).exit_code == 0
    monkeypatch.setattr(generated, "files", lambda _: {"services/requirements.in": "other"})
    result = CliRunner().invoke(command.main, ["--check"])
    assert result.exit_code == 1
    assert "services/requirements.in\nrun: make services-generated" in result.output


def test_both_sides_of_a_call_are_let_through_at_the_port_of_the_called() -> None:
    shop = catalogue(service("front", 6000, "till", "ledger"), service("till", 6001))
    text = generated.files(shop)[f"{generated.K8S}/network.yaml"]
    front, till = (page["spec"] for page in yaml.safe_load_all(text))
    assert (front.get("ingress"), till.get("egress")) == (None, None), "what is not named is not let through"
    (out,), (into,) = front["egress"], till["ingress"]
    assert out["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "till"}}}]
    assert into["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "front"}}}]
    assert out["ports"] == into["ports"] == [{"protocol": "TCP", "port": 6001}]


def test_make_knows_the_same_services() -> None:
    told = subprocess.run(["make", "-s", "services"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [*load().names]


def test_manifests_and_settings_listen_where_the_catalogue_says() -> None:
    for each in load().services:
        folder = ROOT / "k8s/base/services" / each.name
        assert f"PORT={each.port}\n" in (folder / f"{each.name}.env").read_text()
        (container,) = yaml.safe_load((folder / "deployment.yaml").read_text())["spec"]["template"]["spec"][
            "containers"
        ]
        assert [port["containerPort"] for port in container["ports"]] == [each.port]
        _, entry = yaml.safe_load_all((folder / "service.yaml").read_text())
        assert [port["port"] for port in entry["spec"]["ports"]] == [each.port]
        settings = (ROOT / "services" / each.name / "settings.py").read_text()
        assert f'setting("PORT", {each.port},' in settings


def test_backstage_is_told_of_every_service_its_owner_its_api_and_what_it_needs() -> None:
    ours = load()
    pages = list(yaml.safe_load_all((ROOT / "catalog-info.yaml").read_text()))
    by_name = {(page["kind"], page["metadata"]["name"]): page for page in pages}
    assert len(by_name) == len(pages), "an entity's kind and name are its own"
    for each in ours.services:
        component = by_name["Component", each.name]["spec"]
        api = by_name["API", each.name]["spec"]
        assert ("Group", component["owner"].removeprefix("group:")) in by_name
        assert ("System", component["system"]) in by_name
        assert component["providesApis"] == [each.name]
        assert len(component.get("dependsOn", ())) == len(each.depends_on)
        for needed in component.get("dependsOn", ()):
            kind, _, name = needed.partition(":")
            assert (kind.capitalize(), name) in by_name
        assert (ROOT / api["definition"]["$text"]).is_file()
    for page in pages:
        assert re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?", page["metadata"]["name"])
