"""Prices in FastAPI, without telemetry of its own: opentelemetry-instrument finds FastAPI and urllib."""

import logging
import os
import urllib.request

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()
log = logging.getLogger("prices")


@app.post("/prices/{thing}", response_class=PlainTextResponse)
def price(thing: str) -> str:
    """Have a bill written and say what is to be paid."""
    log.warning("a price for %s", thing)
    bill = urllib.request.Request(f"{os.environ['BILLING_URL']}/bills/{thing}", method="POST")  # noqa: S310
    with urllib.request.urlopen(bill) as answer:  # noqa: S310
        return f"{len(thing)} euros, {answer.read().decode()}"
