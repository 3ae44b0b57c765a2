"""The resources of `car`. What they share is in `http`, what they know is in `catalogue`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from flask import Flask, Response
from flask_restful import Api  # type: ignore[import-untyped]

from observability.version import VERSION
from services.car import documents, http
from services.car.catalogue import Car, FieldError, Invalid, Missing, Page, Query
from services.car.clients import MinusError
from services.car.http import CarFace
from services.car.queries import Arguments, next_url, read_discount, read_query, single
from services.car.store import Store
from services.rest.resources import serve_document


class Difference(Protocol):
    """Who subtracts: `services.car.clients.Minus`, or a test's own."""

    def difference(self, x: int, y: int) -> int:
        """x - y. Raises MinusError."""


@dataclass(frozen=True)
class Parts:
    """What the resources work with. `count_quote` is told the outcome of each quote."""

    store: Store
    minus: Difference
    count_quote: Callable[[str], None]
    write_token: str | None


def install(app: Flask, parts: Parts) -> None:
    """Add the routes to `app`."""
    api = Api(app)
    car = "/cars/<string:maker>/<string:model>"
    for resource, address in (
        (Cars, "/cars"),
        (Maker, "/cars/<string:maker>"),
        (Model, car),
        (EngineOf, f"{car}/engine"),
        (OptionsOf, f"{car}/options"),
        (DescriptionOf, f"{car}/description"),
        (QuoteOf, f"{car}/quote"),
    ):
        name = resource.__name__.lower()
        api.add_resource(resource, address, endpoint=name, resource_class_kwargs={"parts": parts})
    serve_document(api, Path(__file__).parent, Document)


class PartsFace(CarFace):
    """A resource that works with the parts of the service."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.store = parts.store
        self.write_token = parts.write_token


class Cars(PartsFace):
    """All cars."""

    def get(self) -> Response:
        arguments = http.arguments()
        query = read_query(arguments)
        page = self.store.page(query)
        return _page_answer("/cars", page, query, arguments)

    def post(self) -> Response:
        _no_arguments()
        car = documents.read_car(http.body())
        self.store.add(car, _collection_check("/cars"))
        return _created(car)

    def delete(self) -> Response:
        _no_arguments()
        self.store.delete_all(_collection_check("/cars"))
        return http.empty()


class Maker(PartsFace):
    """The cars of one maker."""

    def get(self, maker: str) -> Response:
        arguments = http.arguments()
        query = read_query(arguments, maker)
        page = self.store.maker_page(query)
        return _page_answer(f"/cars/{maker}", page, query, arguments, maker=maker)

    def post(self, maker: str) -> Response:
        _no_arguments()
        car = documents.read_car(http.body(), maker)
        self.store.add(car, _collection_check(f"/cars/{maker}"), maker)
        return _created(car)

    def put(self, maker: str) -> Response:
        _no_arguments()
        cars = documents.read_cars(http.body(), maker)
        new, page = self.store.replace_maker(maker, cars, _collection_check(f"/cars/{maker}"))
        response = _page_answer(f"/cars/{maker}", page, Query(maker=maker), {}, maker=maker)
        if new:
            response.status_code = 201
            response.headers["Location"] = f"/cars/{maker}"
        return response

    def delete(self, maker: str) -> Response:
        _no_arguments()
        self.store.delete_maker(maker, _collection_check(f"/cars/{maker}"))
        return http.empty()


class Model(PartsFace):
    """One car."""

    def get(self, maker: str, model: str) -> Response:
        _no_arguments()
        return _car_answer(self.store.car(maker, model))

    def put(self, maker: str, model: str) -> Response:
        _no_arguments()
        car = documents.read_car(http.body(), maker, model)
        new = self.store.put(car, _car_check())
        return _created(car) if new else _car_answer(car)

    def delete(self, maker: str, model: str) -> Response:
        _no_arguments()
        self.store.delete(maker, model, _car_check())
        return http.empty()


class Part(PartsFace):
    """What belongs to one car: read and replaced by itself, with an entity tag of its own."""

    def document(self, car: Car) -> Any:
        """The part of `car` as a document, None where the car has none."""
        raise NotImplementedError

    def read(self, document: Any) -> dict[str, Any]:
        """The fields of a car that `document` describes. Raises Invalid."""
        raise NotImplementedError

    def get(self, maker: str, model: str) -> Response:
        _no_arguments()
        document = self.document(self.store.car(maker, model))
        if document is None:
            raise Missing(f"The car {maker}/{model} has none recorded: PUT this address to record one.")
        return http.answer(document, _tag(document))

    def put(self, maker: str, model: str) -> Response:
        _no_arguments()
        fields, conditions = self.read(http.body()), http.preconditions()
        was_there = True

        def change(car: Car) -> Car:
            nonlocal was_there
            present = self.document(car)
            was_there = present is not None
            conditions.check(None if present is None else _tag(present))
            return replace(car, **fields)

        stored = self.document(self.store.change(maker, model, change))
        return http.answer(stored, _tag(stored), 200 if was_there else 201)


class EngineOf(Part):
    """The engine."""

    def document(self, car: Car) -> Any:
        return documents.engine_document(car.engine)

    def read(self, document: Any) -> dict[str, Any]:
        return {"engine": documents.read_engine(document)}


class OptionsOf(Part):
    """The options."""

    def document(self, car: Car) -> Any:
        return {"options": list(car.options)}

    def read(self, document: Any) -> dict[str, Any]:
        return {"options": documents.read_part(document, "options")}


class DescriptionOf(Part):
    """The description."""

    def document(self, car: Car) -> Any:
        return {"description": car.description}

    def read(self, document: Any) -> dict[str, Any]:
        return {"description": documents.read_part(document, "description")}


class QuoteOf(PartsFace):
    """What a car costs after a discount."""

    def get(self, maker: str, model: str) -> Response:
        try:
            discount = read_discount(http.arguments())
            car = self.store.car(maker, model)
            if discount > car.price:
                remedy = f"more than the price: give at most {car.price}"
                raise Invalid([FieldError("discount", discount, remedy)])
            total = self.parts.minus.difference(car.price, discount)
        except Invalid:
            self.parts.count_quote("rejected")
            raise
        except MinusError as error:
            self.parts.count_quote("unavailable")
            raise http.problem_of_quote(error) from error
        self.parts.count_quote("ok")
        return http.fresh(_quote_document(car, discount, total))


class Document(CarFace):
    """The service's OpenAPI document."""

    def __init__(self, document: Callable[[], Any]) -> None:
        self.document = document

    def get(self) -> Response:
        _no_arguments()
        document = self.document()
        return http.answer(document, _tag(document))


def _no_arguments() -> None:
    # Not to ignore them: DELETE /cars?maker=bentz must not delete every car.
    single(http.arguments(), ())


def _tag(document: Any) -> str:
    return documents.tag(documents.dump(document))


def _page_tag(path: str, state: str, arguments: Arguments) -> str:
    """The tag of a page of a collection that is in this state: whatever changes there changes it."""
    question = urlencode(sorted(arguments.items()), doseq=True)
    return documents.tag(VERSION.encode(), path.encode(), state.encode(), question.encode())


def _collection_check(path: str) -> Callable[[str | None], None]:
    conditions = http.preconditions()
    return lambda state: conditions.check(None if state is None else _page_tag(path, state, {}))


def _car_check() -> Callable[[Car | None], None]:
    conditions = http.preconditions()
    return lambda car: conditions.check(None if car is None else _tag(documents.car_document(car)))


def _car_answer(car: Car) -> Response:
    document = documents.car_document(car)
    return http.answer(document, _tag(document))


def _created(car: Car) -> Response:
    document = documents.car_document(car)
    return http.answer(document, _tag(document), 201, {"Location": document["links"]["self"]})


def _page_answer(path: str, page: Page, query: Query, arguments: Arguments, **head: Any) -> Response:
    following = next_url(path, arguments, query, page.cars[-1]) if page.more else None
    document = {
        **head,
        "cars": [documents.car_document(car) for car in page.cars],
        "total": page.total,
        "makers": [{"maker": maker, "count": count} for maker, count in page.makers],
        "next": following,
    }
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return http.answer(document, _page_tag(path, page.state, arguments), 200, headers)


def _quote_document(car: Car, discount: int, total: int) -> dict[str, Any]:
    return {
        "maker": car.maker,
        "model": car.model,
        "price": car.price,
        "discount": discount,
        "total": total,
        "currency": car.currency,
    }
