"""The service that the server's tests run as a process of its own.

It is instrumented as the real ones are. `BREAK` makes its factory fail in one of two ways,
`HANG` makes its telemetry hang at the end, `CLOSING` says how its own end goes, `HELD_UNTIL` is the file
that a held request waits for.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, request

from observability import instrument
from observability.server.serve import serve
from observability.settings import PORT, SettingError, setting


@dataclass(frozen=True)
class Settings:
    host: str = setting("HOST", "127.0.0.1", help="The address.")
    port: int = setting("PORT", 0, help="The port.", check=PORT)


def create_app(settings: Settings) -> Flask:
    fail(os.environ.get("BREAK"))
    app = Flask(__name__)

    @app.get("/pid")
    def pid() -> str:
        return str(os.getpid())

    @app.get("/held")
    def held() -> str:
        wait_for(Path(os.environ.get("HELD_UNTIL", "for ever")))
        return "let go"

    @app.post("/length")
    def length() -> str:
        return str(len(request.get_data()))

    @app.get("/header/<name>")
    def header(name: str) -> str:
        return request.headers.get(name, "none")

    @app.get("/endless")
    def endless() -> Response:
        def chunks() -> Iterator[bytes]:
            while True:
                yield b"." * 65536

        return Response(chunks())

    @app.get("/die")
    def die() -> str:
        os._exit(3)

    telemetry = instrument(app, service="program", version="1")
    app.extensions["closing"] = lambda: close(os.environ.get("CLOSING"))
    if "HANG" in os.environ:
        telemetry.shutdown = lambda: time.sleep(60)  # type: ignore[assignment, misc]
    return app


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(0.05)


def close(how: str | None) -> None:
    logging.getLogger("program").info("closing")
    if how == "hang":
        time.sleep(60)
    if how == "fail":
        raise RuntimeError("the engine is hot")


def fail(how: str | None) -> None:
    if how == "setting":
        raise SettingError("CAR_COLOUR='loud' cannot be used: give a colour")
    if how == "error":
        raise RuntimeError("the engine fell out")


if __name__ == "__main__":
    serve("served_program:create_app", Settings, service="program")
