"""Questions as query strings: filters, order, and the cursor that continues a page.

A cursor names the last car seen (its sort value, maker and model) and not a position, so that cars
that come or go between two pages neither repeat nor hide others. It is opaque to clients: base64 of
JSON with a checksum over itself and over the question it belongs to. The checksum finds damage and
mix-ups; it is no secret, and needs not be: a forged cursor can ask for nothing but another place in
the same list.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from services.car import catalogue, documents, fields
from services.car.catalogue import BadQuery, Car, FieldError, Query

Arguments = Mapping[str, Sequence[str]]
"""The query string: each parameter with all values it was given."""

FILTERS = ("maker", "min_rating", "release_date", "sort", "limit", "cursor")

_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_RELEASED = re.compile(r"([0-9]{4})(?:-([0-9]{2})-([0-9]{2}))?")
_CHECKSUM = 8


def read_query(arguments: Arguments, maker: str | None = None) -> Query:
    """The question that `arguments` ask, of one `maker` where the address names one.

    Raises BadQuery with every complaint.
    """
    names = tuple(name for name in FILTERS if maker is None or name != "maker")
    values = single(arguments, names)
    errors: list[FieldError] = []
    asked: dict[str, Any] = {"maker": maker}
    for name, text in values.items():
        try:
            asked |= _READERS[name](text)
        except ValueError as error:
            errors.append(FieldError(name, fields.shown(text), str(error)))
    if errors:
        raise BadQuery(errors)
    query = Query(**asked)
    if "cursor" in values:
        query = replace(query, after=_read_cursor(values["cursor"], query))
    return query


def read_discount(arguments: Arguments) -> int:
    """The discount of a quote in whole units, 0 where none is given. Raises BadQuery."""
    text = single(arguments, ("discount",)).get("discount", "0")
    if not _WHOLE.fullmatch(text) or int(text) < 0:
        detail = "give a whole number of currency units, 0 or more"
        raise BadQuery([FieldError("discount", fields.shown(text), detail)])
    return int(text)


def single(arguments: Arguments, names: Sequence[str]) -> dict[str, str]:
    """The one value of each parameter. Raises BadQuery for a repeated or an unknown one."""
    errors = []
    for name, values in arguments.items():
        if name not in names:
            known = f"give {', '.join(names)}" if names else "this address takes no parameters"
            shown = fields.shown(values[0])
            errors.append(FieldError(fields.shown(name), shown, f"unknown parameter: {known}"))
        elif len(values) > 1:
            shown = fields.shown(list(values))
            errors.append(FieldError(name, shown, "given more than once: give it once"))
    if errors:
        raise BadQuery(errors)
    return {name: values[0] for name, values in arguments.items()}


def next_url(path: str, arguments: Arguments, query: Query, last: Car) -> str:
    """The address of the page that begins after the car `last`."""
    values = single(arguments, FILTERS)
    kept = {name: values[name] for name in FILTERS if name in values}
    return f"{path}?{urlencode({**kept, 'cursor': _cursor(last, query)})}"


# -- one reader for each parameter ---------------------------------------------------------------


def _maker(text: str) -> dict[str, Any]:
    if not catalogue.is_slug(text):
        raise ValueError("give a maker as in its address: lower case, digits and single hyphens")
    return {"maker": text}


def _min_rating(text: str) -> dict[str, Any]:
    if _NUMBER.fullmatch(text):
        tenths = decimal.Decimal(text) * catalogue.RATING_STEPS
        if 0 <= tenths <= 10 * catalogue.RATING_STEPS:
            return {"min_rating": int(tenths.to_integral_value(decimal.ROUND_CEILING))}
    raise ValueError("give a number from 0 to 10, e.g. 9.8")


def _release_date(text: str) -> dict[str, Any]:
    if match := _RELEASED.fullmatch(text):
        year, month, day = match.groups()
        try:
            first = datetime.date(int(year), int(month or 1), int(day or 1))
        except ValueError:
            pass  # 2021-02-30 and the year 0000 have the form and are none
        else:
            return {
                "released_from": first,
                "released_to": first if month else first.replace(month=12, day=31),
            }
    raise ValueError("give a year or a date, e.g. 2021 or 2021-03-15")


def _sort(text: str) -> dict[str, Any]:
    key = text.removeprefix("-")
    if key not in catalogue.SORT_KEYS:
        raise ValueError(
            f"give one of {', '.join(catalogue.SORT_KEYS)}, with - before it for descending order"
        )
    return {"sort": key, "descending": text.startswith("-")}


def _limit(text: str) -> dict[str, Any]:
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= catalogue.MAX_LIMIT:
        raise ValueError(f"give a whole number from 1 to {catalogue.MAX_LIMIT}")
    return {"limit": int(text)}


_READERS: dict[str, Any] = {
    "maker": _maker,
    "min_rating": _min_rating,
    "release_date": _release_date,
    "sort": _sort,
    "limit": _limit,
    "cursor": lambda _: {},  # read last: it belongs to the question that the others make
}


# -- cursors -------------------------------------------------------------------------------------


def _cursor(last: Car, query: Query) -> str:
    document = documents.car_document(last)
    body = json.dumps([document[query.sort], last.maker, last.model], separators=(",", ":")).encode()
    return _encoded(_checksum(body, query) + body)


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read_cursor(text: str, query: Query) -> tuple[Any, str, str]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        body = raw[_CHECKSUM:]
        # Encoding again finds the spellings that decode to the same bytes.
        if _encoded(raw) != text or raw[:_CHECKSUM] != _checksum(body, query):
            raise ValueError("not as it was given out")
        key, maker, model = documents.load(body)
        named = ((query.sort, key), ("maker", maker), ("model", model))
        key, maker, model = (documents.read_field(name, value) for name, value in named)
    except (ValueError, TypeError):
        detail = "damaged, or of another question: follow the next link of a page, with its other parameters"
        raise BadQuery([FieldError("cursor", fields.shown(text), detail)]) from None
    return key, maker, model


def _checksum(body: bytes, query: Query) -> bytes:
    """Eight bytes over the cursor's `body` and the question, whose page size may change on the way."""
    question = repr(replace(query, after=None, limit=0)).encode()
    return bytes.fromhex(documents.tag(body, question))[:_CHECKSUM]
