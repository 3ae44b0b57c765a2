"""The OpenAPI document of `web` is true: for every route, also for input that nobody would type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import schemathesis
import yaml
from fakecar import FakeCar
from fakeorders import FakeOrders, order
from flask import Flask
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from schemathesis.core import NOT_SET
from webapps import web_app

from services.web.asking import Away, Busy, Misbehaved, ServiceError, Slow

TRUE_ANSWERS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


SENT = {
    "etag": '"v0"',
    "maker": "norden",
    "model": "c40",
    "price": 44000,
    "currency": "EUR",
    "release_date": "2023-01-31",
    "discount": 0,
    "key": "0f8fad5bd9cb469f",
}
"""The least that a form sends."""

ORDER = order()
DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "services/web/openapi.yaml").read_text())
OPERATIONS = [
    (path, method)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "put", "delete")
]


@dataclass
class Web:
    """The application, its document as served, its `car`, and the session of a browser that opened a form."""

    app: Flask
    schema: BaseSchema
    fake: FakeCar
    orders: FakeOrders
    token: str
    session: str


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    fake, orders = FakeCar(), FakeOrders()
    with web_app(fake, orders) as app:
        client = app.test_client()
        found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/new-car").text)
        cookie = client.get_cookie("dashcam_session")
        assert found
        assert cookie
        schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
        yield Web(app, schema, fake, orders, found[1], cookie.value)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Hundreds of access lines would hide what a failure says."""
    caplog.set_level("CRITICAL")


def at_home(case: Case, web: Web) -> None:
    """Let the case meet what a browser meets: its own session, and in most cases a car that is there."""
    web.fake.__init__()  # type: ignore[misc]
    web.orders.kept = {ORDER.id: ORDER}
    if isinstance(case.body, dict) and "csrf_token" in case.body:
        case.body["csrf_token"] = web.token
        case.cookies = {"dashcam_session": web.session}
    key = case.path_parameters or {}
    if str(key.get("order"))[:1] in "01234567":
        key["order"] = ORDER.id
    if "model" in key and len(str(key["model"])) % 3:
        key["maker"], key["model"] = "bentz", "e-class"
        if isinstance(case.body, dict) and "etag" in case.body and len(str(case.body["etag"])) % 3:
            case.body["etag"] = '"v0"'


# Schemathesis closes no response of a WSGI application; the garbage collector closes the static files.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["sound", "unsound"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_one_that_the_document_tells_of(
    web: Web, path: str, method: str, mode: GenerationMode
) -> None:
    operation = web.schema[path][method]
    if mode is GenerationMode.NEGATIVE and not (
        operation.query or operation.body or operation.path_parameters
    ):
        return  # nothing can be sent that is unsound

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Case) -> None:
        at_home(case, web)
        case.call_and_validate(checks=TRUE_ANSWERS)

    ask()


@pytest.mark.parametrize("error", [Away("away"), Slow("slow"), Misbehaved("nonsense"), Busy("busy")])
@pytest.mark.parametrize(
    ("path", "method"), [each for each in OPERATIONS if each[0].startswith(("/cars", "/new", "/orders"))]
)
@pytest.mark.parametrize("accept", ["text/html", "application/problem+json"])
def test_what_car_does_not_give_is_told_of_too(
    web: Web, path: str, method: str, error: ServiceError, accept: str
) -> None:
    operation = web.schema[path][method]
    case = operation.Case(
        path_parameters={
            name: value
            for name, value in {"maker": "bentz", "model": "e-class", "order": "one"}.items()
            if f"{{{name}}}" in path
        },
        headers={"Accept": accept},
        body=SENT | {"csrf_token": web.token} if method == "post" else NOT_SET,
        media_type="application/x-www-form-urlencoded" if method == "post" else None,
        cookies={"dashcam_session": web.session},
    )
    web.fake.failure = web.orders.failure = error
    try:
        response = case.call_and_validate(checks=TRUE_ANSWERS[1:])
    finally:
        web.fake.failure = web.orders.failure = None
    if (path, method) not in {("/cars/{maker}", "get"), ("/new-car", "get")}:
        assert response.status_code == error.status


def test_the_document_tells_of_every_route(web: Web) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in web.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == set(OPERATIONS)


def test_every_address_keeps_the_rules_of_the_house(web: Web) -> None:
    """No trailing slash, no underscore, lower case, no verb, no file extension but that of OpenAPI."""
    verbs = {"get", "add", "create", "edit", "update", "change", "delete", "remove", "list", "show", "search"}
    for rule in web.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        assert path == "/" or not path.endswith("/"), rule
        assert re.fullmatch(r"[a-z0-9/-]*", path.removesuffix(".json")), rule
        assert not verbs & set(re.split("[/-]", path)), rule
