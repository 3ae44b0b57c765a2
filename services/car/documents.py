"""Cars as JSON documents: read with every complaint collected, written in one fixed form.

The form is fixed because a car's entity tag is a digest of it: the same car has the same tag in every
process and after every restart.
"""

from __future__ import annotations

import decimal
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from services.car import catalogue, fields
from services.car.catalogue import Car, Engine, FieldError, Invalid, Reservation
from services.car.fields import Parse


def load(body: bytes) -> Any:
    """The JSON value in `body`; numbers with a fraction come as Decimal. Raises ValueError with a reason."""
    try:
        return json.loads(body.decode("utf-8"), parse_float=_decimal, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None


def dump(document: Any) -> bytes:
    """The one form of `document` as bytes, ended by a newline."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


def tag(*parts: bytes) -> str:
    """The entity tag, without quotes, of what consists of `parts`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def car_document(car: Car) -> dict[str, Any]:
    """The resource of `car`, with the links to what belongs to it."""
    here = f"/cars/{car.maker}/{car.model}"
    return {
        "maker": car.maker,
        "model": car.model,
        "name": car.name,
        "price": car.price,
        "currency": car.currency,
        "rating": None if car.rating is None else car.rating / catalogue.RATING_STEPS,
        "release_date": car.release_date.isoformat(),
        "engine": engine_document(car.engine),
        "options": list(car.options),
        "description": car.description,
        "links": {
            "self": here,
            "engine": f"{here}/engine",
            "options": f"{here}/options",
            "description": f"{here}/description",
            "quote": f"{here}/quote",
        },
    }


def engine_document(engine: Engine | None) -> dict[str, Any] | None:
    """The resource of an engine, None where there is none."""
    if engine is None:
        return None
    keys = ("fuel", "displacement_cc", "power_kw", "cylinders")
    return {key: getattr(engine, key) for key in keys}


def reservation_document(reservation: Reservation) -> dict[str, Any]:
    """The resource of a reservation."""
    car = f"/cars/{reservation.maker}/{reservation.model}"
    here = f"{car}/reservations/{reservation.id}"
    return {**vars(reservation), "links": {"self": here, "car": car}}


def read_reservation(document: Any) -> str:
    """The id of the reservation that `document` asks for. Raises Invalid."""
    errors: list[FieldError] = []
    values = _read(document, {"id": fields.slug}, {"id"}, "", errors)
    if errors:
        raise Invalid(errors)
    return str(values["id"])


def read_car(document: Any, maker: str | None = None, model: str | None = None) -> Car:
    """The car that `document` describes, at the address (`maker`, `model`) where that is known.

    Raises Invalid with every complaint.
    """
    errors: list[FieldError] = []
    car = _car(document, maker, model, "", errors)
    if car is None or errors:
        raise Invalid(errors)
    return car


def read_cars(document: Any, maker: str) -> list[Car]:
    """All cars of `maker` from `{"cars": [...]}`: at least one, none twice. Raises Invalid."""
    errors: list[FieldError] = []
    known = {"cars": fields.listed, "maker": fields.same(maker), "next": fields.last_page}
    listed = _read(document, known, {"cars"}, "", errors, ignored=frozenset({"total", "makers"})).get("cars")
    if listed is None:
        raise Invalid(errors)
    cars = [_car(entry, maker, None, f"cars[{index}].", errors) for index, entry in enumerate(listed)]
    first: dict[str, int] = {}
    for index, car in enumerate(cars):
        if car is not None and first.setdefault(car.model, index) != index:
            errors.append(
                FieldError(
                    f"cars[{index}].model", car.model, f"the same as cars[{first[car.model]}]: give each once"
                )
            )
    if errors:
        raise Invalid(errors)
    return [car for car in cars if car is not None]


def read_engine(document: Any) -> Engine:
    """The engine that `document` describes. Raises Invalid."""
    errors: list[FieldError] = []
    engine = _engine(document, "", errors)
    if engine is None or errors:
        raise Invalid(errors)
    return engine


def read_part(document: Any, name: str) -> Any:
    """The one field `name` (`options` or `description`) of `document`. Raises Invalid."""
    errors: list[FieldError] = []
    values = _read(document, {name: fields.CAR[name]}, {name}, "", errors)
    if errors:
        raise Invalid(errors)
    return values[name]


def read_field(name: str, value: Any) -> Any:
    """One field of a car by itself. Raises ValueError with the remedy."""
    return fields.CAR[name](value)


def _car(
    document: Any, maker: str | None, model: str | None, prefix: str, errors: list[FieldError]
) -> Car | None:
    before = len(errors)
    address = {key: slug for key, slug in (("maker", maker), ("model", model)) if slug is not None}
    known: dict[str, Parse] = {**fields.CAR, **{key: fields.same(slug) for key, slug in address.items()}}
    required = {"maker", "model", "price", "release_date"} - address.keys()
    values = _read(document, known, required, prefix, errors, ignored=frozenset({"links"}))
    if values.get("engine") is not None:
        values["engine"] = _engine(values["engine"], f"{prefix}engine.", errors)
    if len(errors) > before:
        return None
    values |= address
    values.setdefault("name", catalogue.display_name(values["maker"], values["model"]))
    return Car(**values)


def _engine(document: Any, prefix: str, errors: list[FieldError]) -> Engine | None:
    before = len(errors)
    values = _read(document, fields.ENGINE, {"fuel", "power_kw"}, prefix, errors)
    return None if len(errors) > before else Engine(**values)


def _read(
    document: Any,
    known: Mapping[str, Parse],
    required: set[str],
    prefix: str,
    errors: list[FieldError],
    ignored: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The values of the `known` fields in `document`; what is wrong with the rest goes into `errors`."""
    if not isinstance(document, dict):
        where = prefix.rstrip(".") or "body"
        errors.append(FieldError(where, fields.shown(document), f"give an object with {', '.join(known)}"))
        return {}
    values: dict[str, Any] = {}
    for name, value in document.items():
        if name in known:
            try:
                values[name] = known[name](value)
            except ValueError as error:
                errors.append(FieldError(prefix + name, fields.shown(value), str(error)))
        elif name not in ignored:
            detail = f"unknown field: give {', '.join(known)}"
            errors.append(FieldError(prefix + fields.shown(name), fields.shown(value), detail))
    errors.extend(
        FieldError(prefix + name, None, "missing: this field is required")
        for name in known
        if name in required and name not in document
    )
    return values


def _decimal(text: str) -> decimal.Decimal:
    try:
        return decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise ValueError(f"the number {text[: fields.SHOWN]} is out of every range") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
