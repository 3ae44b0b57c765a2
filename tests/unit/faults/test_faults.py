"""Faults in a service: nothing without a file, and what each effect does to a request."""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import flask
import pytest
from exampleservices import SERVICES
from flask import Flask

from observability import problems
from services.faults import points as faults
from services.faults.points import FaultSettings, NoFaults


def write(path: Path, point: str, effects: dict[str, Any], **changes: Any) -> None:
    flag = {
        "state": "ENABLED",
        "variants": {"on": effects, "off": {}},
        "defaultVariant": "on",
        "metadata": {"point": point},
        **changes,
    }
    path.write_text(json.dumps({"flags": {"a-fault": flag}}))


def application(path: Path | None) -> Flask:
    app = Flask("faulty")
    problems.install(app)

    @app.get("/price/<maker>")
    def price(maker: str) -> dict[str, Any]:
        return {"traceparent": flask.request.headers.get("traceparent")}

    faults.install(app, "price", FaultSettings(file=str(path) if path else None))
    return app


def test_without_a_file_the_application_is_left_alone() -> None:
    bare = Flask("bare")
    inner, hooks = bare.wsgi_app, dict(bare.before_request_funcs)
    found = faults.install(bare, "price", FaultSettings(file=None))
    assert isinstance(found, NoFaults)
    assert bare.wsgi_app == inner
    assert dict(bare.before_request_funcs) == hooks
    assert found.at("price.anything", x=1) == {}


def test_without_a_file_openfeature_is_not_imported() -> None:
    import subprocess

    script = (
        "import sys; from services.faults import points as faults; "
        "faults.connect(faults.FaultSettings(file=None)).at('x'); "
        "print('openfeature' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_error_is_an_unexpected_exception_of_the_service(tmp_path: Path) -> None:
    write(tmp_path / "f.json", "price.request", {"error": "broken"})
    assert application(tmp_path / "f.json").test_client().get("/price/bentz").status_code == 500


def test_a_status_is_answered_as_a_problem(tmp_path: Path) -> None:
    write(tmp_path / "f.json", "price.request", {"status": 503})
    answer = application(tmp_path / "f.json").test_client().get("/price/bentz")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")


def test_a_delay_takes_its_time(tmp_path: Path) -> None:
    write(tmp_path / "f.json", "price.request", {"delay": 0.15})
    began = time.monotonic()
    application(tmp_path / "f.json").test_client().get("/price/bentz")
    assert time.monotonic() - began >= 0.15


def test_headers_are_dropped_before_the_application_sees_them(tmp_path: Path) -> None:
    write(tmp_path / "f.json", "price.arrival", {"drop": ["traceparent"]})
    answer = application(tmp_path / "f.json").test_client().get("/price/x", headers={"traceparent": "00-1"})
    assert answer.json == {"traceparent": None}


def test_lines_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "f.json", "price.request", {"log": 3})
    with caplog.at_level(logging.WARNING):
        application(tmp_path / "f.json").test_client().get("/price/bentz")
    assert len(caplog.records) == 3


def test_targeting_sees_the_query_and_the_parts_of_the_path(tmp_path: Path) -> None:
    both = {"and": [{"==": [{"var": "maker"}, "bentz"]}, {">=": [{"var": "y"}, 1000]}]}
    write(tmp_path / "f.json", "price.request", {"status": 503}, targeting={"if": [both, "on", "off"]})
    client = application(tmp_path / "f.json").test_client()
    assert client.get("/price/bentz?y=1000").status_code == 503
    assert client.get("/price/bentz?y=999").status_code == 200
    assert client.get("/price/volts?y=1000").status_code == 200


@pytest.mark.parametrize(
    "name", ["point", "self", "route", "targetingKey", "targeting_key", "$flagd", "a.b", ""]
)
def test_a_query_may_have_any_name(tmp_path: Path, name: str) -> None:
    only_others = {"if": [{"==": [{"var": "maker"}, "volts"]}, "on", "off"]}
    write(tmp_path / "f.json", "price.request", {"status": 503}, targeting=only_others)
    client = application(tmp_path / "f.json").test_client()
    assert client.get("/price/bentz", query_string={name: "x"}).status_code == 200
    assert client.get("/price/volts", query_string={name: "x"}).status_code == 503


def test_memory_is_kept_while_the_flag_is_on_and_given_back_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write(path, "price.request", {"memory": 100_000})
    found = faults.connect(FaultSettings(file=str(path)))
    assert isinstance(found, faults.FlaggedFaults)
    for _ in range(3):
        found.at("price.request")
    assert found.kept >= 290_000
    write(path, "price.request", {"memory": 100_000}, state="DISABLED")
    deadline = time.monotonic() + 30
    while found.kept and time.monotonic() < deadline:
        found.at("price.request")
    assert found.kept == 0


def test_a_point_without_a_live_flag_costs_next_to_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    write(path, "price.request", {"delay": 1}, state="DISABLED")
    found = faults.connect(FaultSettings(file=str(path)))
    found.at("price.request")
    began = time.thread_time()
    for _ in range(10_000):
        found.at("price.request", x=1, y=2)
    # About 0.9 µs measured; the bound leaves room for a busy machine.
    assert (time.thread_time() - began) / 10_000 < 20e-6


def test_every_fault_of_the_catalogue_has_a_point_and_a_description_and_is_off() -> None:
    from dashcam.registry import catalogue
    from dashcam.sources.switches import CATALOGUE, parse

    flags = parse(CATALOGUE.read_text())
    known = {*SERVICES, *(resource.name for resource in catalogue.load().resources)}
    assert len(flags) >= 15
    for flag in flags.values():
        assert not flag.enabled, flag.key
        assert flag.metadata["point"].split(".")[0] in known, flag.key
        assert flag.metadata["description"], flag.key
