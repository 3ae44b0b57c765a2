"""A shop in Flask without telemetry of its own: opentelemetry-instrument finds Flask, urllib and logging."""

import logging
import os
import urllib.error
import urllib.request

from flask import Flask

app = Flask(__name__)
log = logging.getLogger("shop")

PAGE = """<!doctype html><title>The shop</title>
<body data-otlp="{otlp}">
<button>Buy an apple</button> <output></output>
<script src="/static/page.js"></script>
"""


@app.get("/")
def page() -> str:
    """A button that buys an apple."""
    return PAGE.format(otlp=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])


@app.get("/buy/<thing>")
def buy(thing: str) -> tuple[str, int]:
    """Ask the stock whether there is one, and what it costs."""
    log.warning("somebody buys %s", thing)
    try:
        taken = _ask("GET", "STOCK_URL", f"/stock/{thing}")
        price = _ask("POST", "PRICES_URL", f"/prices/{thing}")
    except urllib.error.HTTPError:
        log.exception("no %s to be had", thing)
        return "sold out", 502
    return f"{taken} for {price}", 200


def _ask(method: str, service: str, path: str) -> str:
    request = urllib.request.Request(os.environ[service] + path, method=method)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return answer.read().decode()
