"""The OpenAPI document of `minus` tells the truth: requests made from it, answers compared with it."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask

TRUTH = hypothesis.settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
"""The same requests in every run; a slow machine is no failure."""


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
