"""A service's page: what the catalogue says of it, and which versions run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import recorded
from exampleservices import CATALOGUE
from flask.testing import FlaskClient
from recorded import Recorded
from unit.console.conftest import text_of

from dashcam.console import ConsoleSettings, create_app
from dashcam.registry import catalogue


def samples(*labels: dict[str, str], value: float = 1) -> dict[str, Any]:
    rows = [{"metric": each, "value": [recorded.START / 1e6, str(value)]} for each in labels]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}}


@pytest.mark.parametrize("name", CATALOGUE.names)
def test_every_service_of_the_catalogue_has_a_page_that_says_all_of_it(
    console: FlaskClient, name: str
) -> None:
    service = CATALOGUE.service(name)
    page = console.get(f"/services/{name}").text
    text = text_of(page)
    assert service.description in text
    assert f"Owner {service.owner} {dict(CATALOGUE.owners)[service.owner]}" in text
    for objective in service.objectives:
        assert objective["name"] in text
        assert objective["about"] in text
    for each in [*CATALOGUE.callers(name), *(called.name for called in CATALOGUE.called_by(name))]:
        assert f'href="/services/{each}"' in page
    for runbook in service.runbooks:
        assert f'href="/runbooks/{runbook}"' in page
        assert console.get(f"/runbooks/{runbook}").status_code == 200
    for board in service.dashboards:
        assert f"{board.title} {board.path}" in text


def test_what_a_service_needs_is_named(console: FlaskClient) -> None:
    text = text_of(console.get("/services/car").text)
    (needed,) = (each for each in CATALOGUE.resources if each.name == "database")
    assert f"Needs database {needed.description}" in text


def test_the_api_document_is_the_services_own(console: FlaskClient) -> None:
    assert 'href="/services/car/openapi.yaml"' in console.get("/services/car").text
    answer = console.get("/services/car/openapi.yaml")
    assert answer.text == (catalogue.ROOT / "services/car/openapi.yaml").read_text(encoding="utf-8")
    assert answer.content_type.startswith("text/plain")


def test_versions_that_run_are_counted_and_budgets_stand_beside_their_objectives(open_console: Any) -> None:
    def answer(params: Mapping[str, Any], _: Any) -> dict[str, Any]:
        if params["query"] == 'target_info{job="car"}':
            return samples(*({"service_version": each} for each in ("1.2", "1.3", "1.3")))
        if params["query"] == 'slo:budget_left:ratio{service="car"}':
            return samples({"slo": "car-latency"}, value=0.25)
        return samples()

    answers = {**recorded.prometheus_answers(), "/api/v1/query": answer}
    console = open_console(prometheus=Recorded(answers))
    text = text_of(console.get("/services/car").text)
    assert "Versions running 1.3 2 instances 1.2 1 instance " in text
    assert re.search(r"car-latency 25 ?% 99 % below 250 ms The catalogue answers", text), text


def test_dashboards_are_links_where_grafanas_address_is_known() -> None:
    settings = ConsoleSettings(grafana_url="https://grafana.example/x/")
    page = create_app(settings, recorded.sources()).test_client().get("/services/car").text
    assert 'href="https://grafana.example/x/d/dashcam-car"' in page


@pytest.mark.parametrize("path", ["/services/cars", "/services/cars/openapi.yaml"])
def test_a_name_that_the_catalogue_has_not_is_told_with_those_it_has(console: FlaskClient, path: str) -> None:
    answer = console.get(path)
    assert answer.status_code == 404
    assert f"no service 'cars'; there are {', '.join(CATALOGUE.names)}" in text_of(answer.text)


def test_the_overview_leads_to_the_page_of_services_that_have_one(console: FlaskClient) -> None:
    linked = set(re.findall(r'href="/services/([^"]+)"', console.get("/").text))
    assert linked
    assert linked <= set(CATALOGUE.names)


def test_a_catalogue_that_cannot_be_read_takes_only_these_pages_away(
    console: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise catalogue.CatalogueError("services/catalogue.yaml:3: port = 1: give another")

    monkeypatch.setattr(catalogue, "load", broken)
    assert console.get("/").status_code == 200
    answer = console.get("/services/car")
    assert answer.status_code == 500
    assert "catalogue.yaml:3" in answer.text
