"""W3C's own suite for Trace Context, as it is: all of its tests pass, on either form of the request path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import urllib3
from flask import Flask, request
from werkzeug.serving import make_server

from dashcam.stack.ports import free_port
from observability import instrument
from observability.testing import settings

SUITE = Path(__file__).parents[1] / "w3c_trace_context"
TESTS = 41


def service() -> Flask:
    """What the suite asks of one: it calls the addresses that it is sent."""
    app = Flask("harnessed")

    @app.post("/test")
    def call() -> dict[str, Any]:
        for each in request.get_json():
            urllib3.request("POST", each["url"], json=each["arguments"], timeout=5)
        return {}

    return app


@pytest.mark.parametrize("form", ["dashcam", "python", "official"])
def test_the_suite_of_the_specification_passes(form: str) -> None:
    app = service()
    telemetry = instrument(app, "harnessed", settings=settings(instrumentation=form))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = subprocess.run(
            [sys.executable, "test.py", f"http://127.0.0.1:{server.server_port}/test"],
            cwd=SUITE,
            env={**os.environ, "HARNESS_PORT": str(free_port()), "SPEC_LEVEL": "2", "STRICT_LEVEL": "2"},
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        telemetry.shutdown()

    said = done.stderr[-4000:]
    assert done.returncode == 0, said
    assert re.search(rf"^Ran {TESTS} tests", said, re.MULTILINE), said
    assert re.search(r"^OK$", said, re.MULTILINE), said
