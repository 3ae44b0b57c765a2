"""The OpenAPI document of `car` tells the truth: requests made from it, answers compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import carapps
import hypothesis
import pytest
import schemathesis
import yaml
from flask import Flask
from hypothesis.stateful import run_state_machine_as_test

TRUTH = hypothesis.settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
"""The same requests in every run; a slow machine is no failure."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    url = f"sqlite:///{tmp_path_factory.mktemp('openapi')}/car.sqlite3"
    with carapps.car_app(url, minus=carapps.FakeMinus()) as app:
        yield app


@pytest.fixture(scope="module")
def openapi(app: Flask) -> Any:
    loaded = schemathesis.openapi.from_wsgi("/openapi.json", app)
    # What the document cannot say of a well-formed request: a cursor that was never given out (400), a
    # tag that does not hold (412), a discount above the price or a model given twice (422).
    loaded.config.checks.positive_data_acceptance.expected_statuses += ["400", "412", "422"]
    return loaded


DOCUMENT = yaml.safe_load(
    (Path(carapps.__file__).parents[1] / "services/car/openapi.yaml").read_text("utf-8")
)
OPERATIONS = [(m, path) for path, item in DOCUMENT["paths"].items() for m in item if m != "parameters"]
NOTHING_TO_GET_WRONG = {("delete", "/cars"), ("get", "/openapi.json")}
"""Operations that take nothing but a header with any text: there is no malformed request of them."""

HERE = {"maker": "bentz", "model": "e-class", "reservation": "order-1"}
CAR = carapps.a_car(maker="bentz", model="e-class", engine={"fuel": "petrol", "power_kw": 1})


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_well_formed_requests_are_answered_as_the_document_says(
    app: Flask, openapi: Any, method: str, path: str
) -> None:
    well_formed = openapi[path][method].as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)

    @TRUTH
    @hypothesis.given(case=well_formed, there=hypothesis.strategies.booleans())
    def check(case: schemathesis.Case, there: bool) -> None:
        if there:
            app.test_client().put("/cars/bentz/e-class", json=CAR)
            app.test_client().post("/cars/bentz/e-class/reservations", json={"id": HERE["reservation"]})
            case.path_parameters = {name: HERE[name] for name in case.path_parameters}
        case.call_and_validate()

    check()


@pytest.mark.parametrize(("method", "path"), sorted(set(OPERATIONS) - NOTHING_TO_GET_WRONG))
def test_malformed_requests_are_refused_as_the_document_says(openapi: Any, method: str, path: str) -> None:
    malformed = openapi[path][method].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @TRUTH
    @hypothesis.given(case=malformed)
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate()

    check()


def test_sequences_of_operations_answer_as_the_document_says(app: Flask, openapi: Any) -> None:
    class FromNothing(openapi.as_state_machine()):  # type: ignore[misc]
        """Each sequence begins without a car: what the one before left would make it go another way."""

        def setup(self) -> None:
            super().setup()
            app.test_client().delete("/cars")

    run_state_machine_as_test(
        FromNothing,
        settings=hypothesis.settings(TRUTH, max_examples=15, stateful_step_count=6),
    )


def test_the_document_has_every_route_and_method_and_no_other(app: Flask) -> None:
    routes = {
        (rule.rule.replace("<string:", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS")
    }
    paths = app.test_client().get("/openapi.json").json["paths"]
    assert routes == {(path, name) for path, item in paths.items() for name in item if name != "parameters"}
