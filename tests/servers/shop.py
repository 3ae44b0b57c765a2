"""An application as a user writes it, for any server: one line of ours, and a counter of his own."""

import os

from flask import Flask, request
from opentelemetry import metrics

from observability import instrument, problems

app = Flask("shop")
instrument(app, service="shop")
problems.install(app)
orders = metrics.get_meter("shop").create_counter("orders.placed")
kept: list[bytes] = []


@app.get("/order")
def order() -> dict[str, int]:
    orders.add(1)
    return {"pid": os.getpid()}


@app.post("/note")
def note() -> dict[str, int]:
    kept.append(request.get_data())
    return {"kept": len(kept)}


@app.get("/notes")
def notes() -> list[str]:
    return [note.decode() for note in kept]


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), debug=True)
