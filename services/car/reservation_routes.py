"""The resources of reservations, below the car that is reserved."""

from __future__ import annotations

from flask import Flask, Response
from flask_restful import Api  # type: ignore[import-untyped]

from services.car import documents, http
from services.car.catalogue import Reservation
from services.car.http import CarFace
from services.car.queries import single
from services.car.reservations import Reservations


def install(app: Flask, reservations: Reservations, write_token: str | None) -> None:
    """Add the routes to `app`."""
    api = Api(app)
    address = "/cars/<string:maker>/<string:model>/reservations"
    for resource, path in (
        (ReservationsOf, address),
        (ReservationOf, f"{address}/<string:reservation>"),
    ):
        api.add_resource(
            resource,
            path,
            endpoint=resource.__name__.lower(),
            resource_class_kwargs={"reservations": reservations, "write_token": write_token},
        )


class ReservationFace(CarFace):
    """A resource that works with the reservations."""

    def __init__(self, reservations: Reservations, write_token: str | None) -> None:
        self.reservations = reservations
        self.write_token = write_token


class ReservationsOf(ReservationFace):
    """The reservations of one car."""

    def post(self, maker: str, model: str) -> Response:
        single(http.arguments(), ())
        wanted = Reservation(documents.read_reservation(http.body()), maker, model)
        new = self.reservations.make(wanted)
        return _answer(wanted, 201 if new else 200)


class ReservationOf(ReservationFace):
    """One reservation."""

    def get(self, maker: str, model: str, reservation: str) -> Response:
        single(http.arguments(), ())
        return _answer(self.reservations.find(maker, model, reservation))

    def delete(self, maker: str, model: str, reservation: str) -> Response:
        single(http.arguments(), ())
        self.reservations.cancel(maker, model, reservation)
        return http.empty()


def _answer(reservation: Reservation, status: int = 200) -> Response:
    document = documents.reservation_document(reservation)
    headers = {"Location": document["links"]["self"]} if status == 201 else {}
    return http.answer(document, documents.tag(documents.dump(document)), status, headers)
