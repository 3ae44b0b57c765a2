"""The composition root of the monolith: the routes of `car` and of `minus` in one application.

`car` asks whoever it is given for differences (`services.car.routes.Difference`). That is the seam: here it
is a call of a function, and over HTTP once `minus` is a service of its own. Nothing else of either differs.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml
from flask import Flask
from flask_restful import Api  # type: ignore[import-untyped]
from opentelemetry import trace

from services.car import app as car
from services.car.routes import Difference, Document
from services.car.settings import Settings
from services.minus import catalogue
from services.minus.routes import Minus

tracer = trace.get_tracer(__name__)


class InProcess:
    """Subtracts in this process, in a span: what the split will cut is seen before it is cut."""

    def difference(self, x: int, y: int) -> int:
        """x - y."""
        with tracer.start_as_current_span("minus"):
            return catalogue.minus(x, y)


def create_app(settings: Settings | None = None, *, minus: Difference | None = None) -> Flask:
    """The WSGI application: all of `car`, and `/minus` for those who ask for it from outside."""
    app = car.create_app(settings, minus=minus or InProcess())
    Api(app).add_resource(Minus, "/minus", endpoint="minus")
    app.view_functions["openapi"] = Document.as_view("openapi", document=functools.cache(_document))
    return app


def _document() -> Any:
    """The documents of both as one."""
    whole, added = (
        yaml.safe_load(Path(service.__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))
        for service in (car, catalogue)
    )
    whole["paths"] = {**added["paths"], **whole["paths"]}
    for kind, parts in added["components"].items():
        whole["components"][kind] = {**parts, **whole["components"].get(kind, {})}
    return whole
