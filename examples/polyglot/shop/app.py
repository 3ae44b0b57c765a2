"""A shop in Flask without telemetry of its own: opentelemetry-instrument finds Flask, urllib and logging."""

import logging
import os
import urllib.error
import urllib.request

from flask import Flask

app = Flask(__name__)
log = logging.getLogger("shop")


@app.get("/buy/<thing>")
def buy(thing: str) -> tuple[str, int]:
    """Ask the stock and say whether there is one."""
    log.warning("somebody buys %s", thing)
    try:
        with urllib.request.urlopen(f"{os.environ['STOCK_URL']}/stock/{thing}") as answer:  # noqa: S310
            return answer.read().decode(), 200
    except urllib.error.HTTPError:
        log.exception("no %s to be had", thing)
        return "sold out", 502
