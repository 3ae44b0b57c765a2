"""What holds for each service of the catalogue, whatever it does."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import pytest
import yaml
from flask import Flask
from serviceapps import service_app

from dashcam.registry.catalogue import ROOT, load
from observability.version import VERSION

CATALOGUE = load()


@pytest.fixture(scope="module", params=CATALOGUE.names)
def app(request: pytest.FixtureRequest) -> Iterator[Flask]:
    with service_app(request.param) as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["app"])


def test_its_example_is_answered_without_any_other_service(app: Flask, name: str) -> None:
    answer = app.test_client().get(CATALOGUE.service(name).example)
    assert answer.status_code == 200
    assert answer.headers["traceresponse"].startswith("00-")


def test_it_serves_its_document_with_its_version_and_every_route(app: Flask, name: str) -> None:
    document = yaml.safe_load((ROOT / "services" / name / "openapi.yaml").read_text(encoding="utf-8"))
    served = app.test_client().get("/openapi.json")
    assert served.json == document
    assert document["info"]["version"] == VERSION
    documented = {path.replace("{", "<").replace("}", ">") for path in document["paths"]}
    routes = {_plain(rule.rule) for rule in app.url_map.iter_rules()}
    assert routes == documented


def _plain(rule: str) -> str:
    """A route with its parameters as a document writes them: without their converters."""
    return re.sub(r"<[^<>:]+:", "<", rule)


def test_an_address_that_is_not_there_is_a_problem_with_its_trace(app: Flask) -> None:
    answer = app.test_client().get("/nothing/here", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.headers["traceresponse"].startswith("00-")


ASKED = [
    *itertools.product(("GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "BREW"), (b"",)),
    *itertools.product(("POST", "PUT", "PATCH"), (b"{", b'{"a": 1e999}', b"[[]]")),
]
QUERIES = ("", "?x=y&y=nan&discount=%FF&min_rating=x&release_date=0&page=-1&sort=%00&point=x&self=x")


@pytest.mark.parametrize("value", ["%00", "%FF", "9" * 40])
def test_no_method_path_query_or_body_is_an_error_of_the_service(app: Flask, name: str, value: str) -> None:
    client = app.test_client()
    away = {503} if CATALOGUE.service(name).depends_on else set()
    wrong = []
    for rule, (method, body), query in itertools.product(app.url_map.iter_rules(), ASKED, QUERIES):
        path = re.sub(r"<[^>]+>", value, rule.rule) + query
        answer = client.open(path, method=method, data=body, content_type="application/json")
        if answer.status_code >= 500 and answer.status_code not in away:
            wrong.append(f"{method} {path} with {body!r}: {answer.status}")
    assert wrong == []
