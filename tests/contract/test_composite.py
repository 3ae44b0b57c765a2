"""The composite keeps the promises of `orders` over the same API, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from flask import Flask

from examples.composite.app import create_app
from examples.composite.settings import Settings
from observability.settings import from_environ
from observability.testing import OFFLINE
from services import orders

ORDER = {"maker": "bentz", "model": "e-class", "discount": 500}
SCHEMAS = yaml.safe_load(Path(orders.__file__ or "").with_name("openapi.yaml").read_text())["components"]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    app = create_app(from_environ(Settings, {"DASHCAM_STATE_DIR": str(tmp_path)}))
    yield app
    app.extensions["observability"].shutdown()
    app.extensions["closing"]()


def place(app: Flask, key: str = "", **wanted: Any) -> Any:
    """The answer to an order, which is as the document of `orders` says."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = app.test_client().post("/orders", json={**ORDER, **wanted}, headers=headers)
    if answer.status_code < 300:
        whole = {"$ref": "#/components/schemas/Order", "components": SCHEMAS}
        jsonschema.validate(answer.get_json(), whole)
    return answer


@pytest.mark.parametrize(
    ("wanted", "state", "price", "reason"),
    [
        ({}, "confirmed", 61_500, None),
        ({"model": "s-class"}, "cancelled", 118_500, "more than the 100000"),
        ({"model": "no-such"}, "cancelled", None, "There is no car"),
        ({"discount": 99_999_999}, "cancelled", None, "more than the price"),
    ],
)
def test_an_order_is_decided_in_the_answer_to_it(
    app: Flask, wanted: dict[str, Any], state: str, price: int | None, reason: str | None
) -> None:
    answer = place(app, **wanted)
    order = answer.get_json()
    assert (answer.status_code, order["state"], order["price"]) == (202, state, price)
    assert (reason or "") in (order["reason"] or "")
    assert app.test_client().get(answer.headers["Location"]).get_json() == order


def test_requests_with_one_key_are_one_order(app: Flask) -> None:
    with ThreadPoolExecutor(2) as pool:  # as many as may write at once: more may be told to come again
        answers = list(pool.map(lambda _: place(app, key="click"), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [202]
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    assert place(app, key="click", discount=1).status_code == 409


def test_what_fails_before_the_end_leaves_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("the process ends here")

    monkeypatch.setattr("examples.composite.ordering.decide", failing)
    assert place(app, key="click").status_code == 500
    monkeypatch.undo()
    assert place(app, key="click").status_code == 202
