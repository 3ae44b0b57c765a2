"""An application as a user writes it, for any server: one line of ours, and a counter of his own."""

import os

from flask import Flask
from opentelemetry import metrics

from observability import instrument

app = Flask("shop")
instrument(app, service="shop")
orders = metrics.get_meter("shop").create_counter("orders.placed")


@app.get("/order")
def order() -> dict[str, int]:
    orders.add(1)
    return {"pid": os.getpid()}


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]), debug=True)
