"""The API of `minus`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.fixture
def minus(minus_app: Flask) -> FlaskClient:
    return minus_app.test_client()


def refused(response: Any) -> dict[str, Any]:
    """What is said of each parameter of a refused request."""
    assert response.status_code == 400, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    assert len(response.json["trace_id"]) == 32
    return {error["field"]: error["value"] for error in response.json["errors"]}


def test_the_example_of_the_design(minus: FlaskClient) -> None:
    answer = minus.get("/minus?x=5&y=3")
    assert (answer.status_code, answer.json) == (200, {"result": 2})
    assert answer.headers["Cache-Control"] == "public, max-age=3600"


@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(x=st.integers(), y=st.integers())
def test_any_two_whole_numbers_are_subtracted_exactly(minus: FlaskClient, x: int, y: int) -> None:
    assert minus.get("/minus", query_string={"x": x, "y": y}).json == {"result": x - y}


def test_the_longest_numbers_are_subtracted_exactly(minus: FlaskClient) -> None:
    nines = "9" * 4000
    answer = minus.get(f"/minus?x={nines}&y=-{nines}")
    assert answer.status_code == 200
    assert answer.get_data(as_text=True).strip() == '{"result": 1' + "9" * 3999 + "8}"


@pytest.mark.parametrize("x", ["5", "%2B5", "005", "0005"])
def test_signs_and_leading_zeros_are_taken(minus: FlaskClient, x: str) -> None:
    assert minus.get(f"/minus?x={x}&y=-0").json == {"result": 5}


@pytest.mark.parametrize(
    "x",
    [
        "",
        "five",
        "1.5",
        "1e3",
        "5.0",
        " 5",
        "5 ",
        "1_000",
        "0x10",
        "--5",
        "+",
        "\u0665",
        "\xb2",
        "NaN",
        "\x00",
        "5,3",
    ],
)
def test_what_is_no_whole_number_is_a_400_with_field_and_value(minus: FlaskClient, x: str) -> None:
    assert refused(minus.get("/minus", query_string={"x": x, "y": "3"})) == {"x": x}


def test_a_number_over_the_bound_is_a_400_that_states_it(minus: FlaskClient) -> None:
    answer = minus.get("/minus", query_string={"x": "1" * 4001, "y": "1" * 5000})
    assert set(refused(answer)) == {"x", "y"}
    assert "at most 4000" in answer.json["detail"]
    assert len(answer.data) < 1500


def test_a_missing_parameter_is_a_400_that_names_it(minus: FlaskClient) -> None:
    assert refused(minus.get("/minus")) == {"x": None, "y": None}
    assert refused(minus.get("/minus?x=1")) == {"y": None}


def test_a_repeated_or_unknown_parameter_is_a_400_that_names_it(minus: FlaskClient) -> None:
    assert set(refused(minus.get("/minus?x=5&x=6&y=3"))) == {"x"}
    assert refused(minus.get("/minus?x=5&y=3&z=1")) == {"z": "1"}
    assert set(refused(minus.get("/minus?x=5&x=6&y=a&z=1"))) == {"x", "y", "z"}


def test_a_body_and_its_type_do_not_matter(minus: FlaskClient) -> None:
    body = json.dumps({"x": 100, "y": 1}).encode()
    assert minus.get("/minus?x=5&y=3", data=body, content_type="text/plain").json == {"result": 2}
    assert set(refused(minus.get("/minus", data=body, content_type="application/json"))) == {"x", "y"}


@pytest.mark.parametrize("path", ["/minus?x=5&y=3", "/openapi.json"])
def test_head_options_and_405(minus: FlaskClient, path: str) -> None:
    got, head, options, posted = minus.get(path), minus.head(path), minus.options(path), minus.post(path)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.data))
    assert (options.status_code, options.data) == (204, b"")
    assert (posted.status_code, posted.content_type) == (405, "application/problem+json")
    for answer in (options, posted):
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", ["/", "/minus/", "/Minus", "/minus/5/3", "/minus.json"])
def test_other_addresses_are_404_problems(minus: FlaskClient, path: str) -> None:
    answer = minus.get(f"{path}?x=5&y=3")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_every_answer_carries_its_trace(minus: FlaskClient) -> None:
    for path in ("/minus?x=5&y=3", "/minus", "/nothing"):
        assert minus.get(path).headers["traceresponse"].startswith("00-")
