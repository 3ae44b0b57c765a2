"""The forms of the pages and what they make of the text a person typed; WTForms, without Flask.

A form checks what can be checked here, so that a slip is named at once and beside its field; what only
`car` can know comes back as its complaints, which `complain` puts beside the same fields.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

from wtforms import Field, Form, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Regexp, ValidationError

from services.web.catalogue import FUELS, SORTS, Car, Complaint, MakerCount, title
from services.web.fields import SLUG, Choice, Date, Lines, Rating, Slug, WholeNumber, short, typed

MAX_PRICE = 10**12
MAX_POWER = 10**4
MAX_DISPLACEMENT = 10**5
MAX_CYLINDERS = 100

_FIELD_OF_PART = re.compile(r"^(?:engine[./]|/?)([a-z_]+)")
"""`engine.power_kw`, `options[3]` and `/price` name the fields power_kw, options and price."""


def _strip(text: str | None) -> str | None:
    return text.strip() if text else text


class CarForm(Form):
    """A whole car as a person writes it."""

    maker = Slug(
        "Maker",
        [InputRequired("Give the maker, such as bentz."), Length(max=60)],
        filters=[_strip],
        description="As in the address: lower case, such as bentz.",
    )
    model = Slug(
        "Model",
        [InputRequired("Give the model, such as e-class."), Length(max=60)],
        filters=[_strip],
        description="As in the address: lower case, such as e-class.",
    )
    name = StringField(
        "Name",
        [Length(max=100)],
        filters=[_strip],
        description="What people call it. Left empty, it is made of maker and model.",
    )
    price = WholeNumber(
        "Price",
        [InputRequired("Give the price, such as 62000.")],
        high=MAX_PRICE,
        description="In whole units of the currency.",
    )
    currency = StringField(
        "Currency",
        [InputRequired("Give the currency, such as EUR."), Length(3, 3, "Give three letters, such as EUR.")],
        default="EUR",
        filters=[_strip, lambda text: text.upper() if text else text],
        description="Three letters, such as EUR.",
    )
    rating = Rating("Rating", description="0 to 10 with one decimal. Left empty, the car is not rated.")
    release_date = Date(
        "Release date", [InputRequired("Give the date of release as year-month-day, such as 2021-03-15.")]
    )
    fuel = Choice("Fuel", default="", choices={"": "Not stated"} | {fuel: title(fuel) for fuel in FUELS})
    power_kw = WholeNumber("Power (kW)", low=1, high=MAX_POWER)
    displacement_cc = WholeNumber(
        "Displacement (cm³)",
        low=1,
        high=MAX_DISPLACEMENT,
        description="Left empty for an electric car.",
    )
    cylinders = WholeNumber(
        "Cylinders",
        low=1,
        high=MAX_CYLINDERS,
        description="Left empty for an electric car.",
    )
    options = Lines("Options", description="One in each line, such as sunroof.")
    description = TextAreaField("Description", [Length(max=4000)], filters=[_strip])

    def validate_fuel(self, field: Field) -> None:
        """An engine is given with fuel and power, or not at all."""
        figures = (self.power_kw, self.displacement_cc, self.cylinders)
        if not field.data and any(figure.data is not None for figure in figures):
            raise ValidationError("Give the fuel too, or leave all of the engine empty.")

    def validate_power_kw(self, field: Field) -> None:
        """See `validate_fuel`."""
        if self.fuel.data and not typed(field).strip():
            raise ValidationError("Give the power too, or leave all of the engine empty.")

    def validate_options(self, field: Field) -> None:
        """Names as `car` takes them."""
        for option in field.data or ():
            if not SLUG.fullmatch(option):
                raise ValidationError(
                    f"“{short(option)}” is no name of an option: give lower case and hyphens, "
                    "such as heated-seats."
                )

    @classmethod
    def of(cls, car: Car) -> CarForm:
        """The form filled with a car."""
        engine = car.engine
        return cls(
            data={
                **{name: getattr(car, name) for name in ("maker", "model", "name", "price", "currency")},
                "rating": car.rating,
                "release_date": _date(car.release_date),
                "fuel": engine.fuel or "",
                "power_kw": engine.power_kw,
                "displacement_cc": engine.displacement_cc,
                "cylinders": engine.cylinders,
                "options": list(car.options),
                "description": car.description,
            }
        )

    def car(self) -> dict[str, Any]:
        """The JSON for `car`; call it on a form that validates."""
        document: dict[str, Any] = {
            "maker": self.maker.data,
            "model": self.model.data,
            "price": self.price.data,
            "currency": self.currency.data,
            "rating": self.rating.data,
            "release_date": self.release_date.data.isoformat() if self.release_date.data else None,
            "engine": None,
            "options": self.options.data,
            "description": self.description.data or "",
        }
        if self.name.data:
            document["name"] = self.name.data
        if self.fuel.data:
            document["engine"] = {
                name: self[name].data for name in ("fuel", "power_kw", "displacement_cc", "cylinders")
            }
        return document

    def texts(self) -> dict[str, str]:
        """What stands in each field, by label, for a person to compare."""
        return {field.label.text: _text(field) for field in self}


class FilterForm(Form):
    """What part of the catalogue is shown, and in which order."""

    maker = SelectField("Maker", default="", validate_choice=False)
    min_rating = Rating("Rating from")
    release_date = StringField("Released in")
    sort = Choice("Order", default="", choices=SORTS)

    def offer(self, makers: Sequence[MakerCount]) -> None:
        """Offer these makers, and the chosen one even where no car of it is among them."""
        choices = {"": "All makers"} | {m.maker: f"{title(m.maker)} ({m.count})" for m in makers}
        if self.maker.data:
            choices.setdefault(self.maker.data, title(self.maker.data))
        self.maker.choices = choices

    def validate_release_date(self, field: Field) -> None:
        """A year, or a whole date as `car` also takes it."""
        text = (field.data or "").strip()
        if text and not re.fullmatch(r"[0-9]{4}(-[0-9]{2}-[0-9]{2})?", text):
            raise ValidationError(f"“{short(text)}” is not a year: give four digits, such as 2021.")

    def filters(self) -> dict[str, str]:
        """The query parameters that are set, in the spelling of `car`."""
        values = {field.name: "" if field.data is None else str(field.data).strip() for field in self}
        return {name: value for name, value in values.items() if value}


class QuoteForm(Form):
    """The discount to ask a quote for."""

    discount = WholeNumber("Discount", [InputRequired("Give the discount, such as 500.")], high=MAX_PRICE)


class OrderForm(Form):
    """What a person says of an order, and the key that makes one of it however often it is sent."""

    discount = WholeNumber(
        "Discount", [InputRequired("Give the discount; 0 is none.")], high=MAX_PRICE, default=0
    )
    key = HiddenField(validators=[Regexp(r"[A-Za-z0-9-]{8,64}\Z", message="Open the form again.")])


def complain(form: Form, complaints: Iterable[Complaint]) -> list[str]:
    """Put each complaint beside the field it names. Answers those that name no field of the form."""
    homeless = []
    for complaint in complaints:
        found = _FIELD_OF_PART.match(complaint.field)
        name = found[1] if found else ""
        if name in form:
            form[name].errors = [*form[name].errors, complaint.detail]
        else:
            homeless.append(f"{complaint.field}: {complaint.detail}" if complaint.field else complaint.detail)
    return homeless


def _text(field: Field) -> str:
    value = field._value() if hasattr(field, "_value") else field.data
    return "" if value is None else str(value)


def _date(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text or "")
    except ValueError:
        return None
