"""The example cars of a new database, read from `examples.json`. Makers and models are made up."""

from __future__ import annotations

from pathlib import Path

from services.car import documents
from services.car.catalogue import Car


def cars() -> list[Car]:
    """The example cars, held to the same rules as those that clients send."""
    text = Path(__file__).with_name("examples.json").read_bytes()
    return [documents.read_car(document) for document in documents.load(text)]
