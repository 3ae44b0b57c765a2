"""The OpenAPI document of `minus` tells the truth: requests made from it, answers compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
import yaml
from flask import Flask

from observability.version import VERSION

TRUTH = hypothesis.settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
"""The same requests in every run; a slow machine is no failure."""

DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "services/minus/openapi.yaml").read_text("utf-8"))


@pytest.fixture
def openapi(minus_app: Flask) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", minus_app)


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/minus", schemathesis.GenerationMode.POSITIVE),
        ("/minus", schemathesis.GenerationMode.NEGATIVE),
        ("/openapi.json", schemathesis.GenerationMode.POSITIVE),
    ],
)
def test_requests_are_answered_as_the_document_says(
    openapi: Any, path: str, mode: schemathesis.GenerationMode
) -> None:
    @TRUTH
    @hypothesis.given(case=openapi[path]["get"].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate()

    check()


def test_the_document_is_the_file_and_names_the_services_version(minus_app: Flask) -> None:
    served = minus_app.test_client().get("/openapi.json").json
    assert served == DOCUMENT
    assert served["info"]["version"] == VERSION


def test_the_document_has_every_route_and_no_other(minus_app: Flask) -> None:
    assert {rule.rule for rule in minus_app.url_map.iter_rules()} == DOCUMENT["paths"].keys()
