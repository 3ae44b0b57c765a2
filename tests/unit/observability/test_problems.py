"""Errors as RFC 9457 problems, whoever raised them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, abort, redirect
from flask_restful import Api, Resource, reqparse
from werkzeug.exceptions import Unauthorized

from observability import problems
from observability.problems import Problem


class Price(Resource):
    def get(self) -> dict[str, int]:
        parser = reqparse.RequestParser()
        parser.add_argument("x", type=int, required=True, location="args")
        return {"result": parser.parse_args()["x"]}


@pytest.fixture(params=["before", "after"])
def app(request: Any) -> Flask:
    app = Flask("demo")
    if request.param == "before":
        problems.install(app)
    Api(app).add_resource(Price, "/price")
    if request.param == "after":
        problems.install(app)
    problems.install(app)

    @app.get("/raise/<kind>")
    def fail(kind: str) -> Any:
        if kind == "abort":
            abort(409, "it exists already")
        if kind == "login":
            raise Unauthorized(www_authenticate=None)
        if kind == "crash":
            raise RuntimeError("password=hunter22")
        if kind == "redirect":
            return redirect("/price?x=1")
        errors = [{"field": "discount", "value": "9" * 999, "detail": "is more than the price"}]
        raise Problem(422, "Bad discount", "The discount is too high.", type="/problems/d", errors=errors)

    return app


def problem(app: Flask, path: str, status: int, **arguments: Any) -> dict[str, Any]:
    answer = app.test_client().open(path, **arguments)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert {"type", "title", "status", "instance"} <= set(body)
    assert body["status"] == status
    return body


def test_a_problem_has_the_members_it_was_given(app: Flask) -> None:
    body = problem(app, "/raise/problem", 422)
    assert body["type"] == "/problems/d"
    assert body["title"] == "Bad discount"
    assert body["detail"] == "The discount is too high."
    assert body["instance"] == "/raise/problem"
    assert body["errors"][0]["field"] == "discount"
    assert len(body["errors"][0]["value"]) == problems.MAX_SHOWN + 1


def test_a_route_that_does_not_exist_is_a_problem(app: Flask) -> None:
    assert problem(app, "/nowhere", 404)["detail"] == "Nothing is at /nowhere."


def test_a_wrong_method_is_a_problem_that_says_which_are_right(app: Flask) -> None:
    problem(app, "/price", 405, method="POST")
    assert "GET" in app.test_client().post("/price").headers["Allow"]


def test_an_abort_keeps_its_words(app: Flask) -> None:
    assert problem(app, "/raise/abort", 409)["detail"] == "it exists already"


def test_a_crash_says_nothing_of_its_insides(app: Flask) -> None:
    assert "hunter22" not in str(problem(app, "/raise/crash", 500))


def test_a_redirect_stays_a_redirect(app: Flask) -> None:
    assert app.test_client().get("/raise/redirect").status_code == 302


@pytest.mark.parametrize(("query", "value"), [("", None), ("?x=two", "two")])
def test_bad_arguments_of_flask_restful_name_field_and_value(app: Flask, query: str, value: Any) -> None:
    body = problem(app, f"/price{query}", 400)
    (error,) = body["errors"]
    assert (error["field"], error["value"]) == ("x", value)
    assert error["detail"]


def test_the_trace_id_is_there_when_the_service_is_instrumented(app: Flask, instrumented: Any) -> None:
    instrumented(app)
    answer = app.test_client().get("/nowhere")
    assert answer.get_json()["trace_id"] == answer.headers["traceresponse"].split("-")[1]


def test_a_status_that_is_no_error_is_refused() -> None:
    with pytest.raises(ValueError, match="400 to 599, not 200"):
        Problem(200)


def test_a_huge_number_is_described_and_not_echoed() -> None:
    (error,) = Problem(400, errors=[{"field": "x", "value": 10**5000, "detail": "too large"}]).errors
    assert error["value"] == "a number of 16610 bits"


@pytest.fixture
def routed() -> Flask:
    app = Flask("routed")
    problems.install(app)

    class Thing(Resource):  # type: ignore[misc]
        def get(self, name: str) -> dict[str, str]:
            return {"name": name}

    Api(app).add_resource(Thing, "/things/<name>/parts")
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    return app


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "BREW"])
@pytest.mark.parametrize("path", ["/things/a//parts", "/things//a/parts", "/things/a///parts"])
def test_a_method_that_is_not_allowed_is_a_405_whatever_the_slashes(
    routed: Flask, method: str, path: str
) -> None:
    for _ in range(2):  # the first request is the one that adopts the Api
        answer = routed.test_client().open(path, method=method)
        assert answer.status_code == 405
        assert answer.content_type == problems.CONTENT_TYPE


@pytest.mark.parametrize(
    ("asked", "location"),
    [
        ("/things/a//parts", "/things/a/parts"),
        ("/things/a//parts?x=1&y=%C3%BC", "/things/a/parts?x=1&y=%C3%BC"),
        ("/folder", "/folder/"),
    ],
)
def test_a_redirect_of_the_router_does_not_repeat_the_host(routed: Flask, asked: str, location: str) -> None:
    answer = routed.test_client().get(asked, headers={"Host": "evil.example"})
    assert answer.status_code == 308
    assert answer.headers["Location"] == location
    assert b"evil" not in answer.data
