"""The application that every server runs: one Flask-RESTful route to measure, a few to see how it behaves."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, request
from flask_restful import Api, Resource, reqparse

from observability.settings import PORT, setting

PATH = "/minus"
ROUTE = f"{PATH}?x=5&y=3"
"""The request that is measured."""


@dataclass(frozen=True)
class Settings:
    """Where the application listens when `observability.server.serve` runs it."""

    host: str = setting("HOST", "127.0.0.1", help="The address.")
    port: int = setting("PORT", 0, help="The port.", check=PORT)


def create_app(settings: Settings | None = None) -> Flask:
    """The application, without any telemetry."""
    app = Flask(__name__)
    parser = reqparse.RequestParser()
    parser.add_argument("x", type=int, required=True, location="args")
    parser.add_argument("y", type=int, required=True, location="args")

    class Difference(Resource):  # type: ignore[misc] # Flask-RESTful has no types
        def get(self) -> dict[str, Any]:
            arguments = parser.parse_args()
            return {"result": arguments["x"] - arguments["y"]}

    Api(app).add_resource(Difference, PATH)

    @app.get("/sleep/<float:seconds>")
    def sleep(seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    @app.post("/length")
    def length() -> str:
        return str(len(request.get_data()))

    @app.get("/endless")
    def endless() -> Response:
        def chunks() -> Iterator[bytes]:
            while True:
                yield b"." * 65536

        return Response(chunks())

    @app.get("/pid")
    def pid() -> str:
        return str(os.getpid())

    return app
