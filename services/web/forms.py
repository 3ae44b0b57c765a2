"""The forms of the pages and what they make of the text a person typed; WTForms, without Flask.

A form checks what can be checked here, so that a slip is named at once and beside its field; what only
`car` can know comes back as its complaints, which `complain` puts beside the same fields.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from wtforms import DateField, Field, Form, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, ValidationError

from services.web.catalogue import FUELS, SORTS, Car, Complaint, MakerCount, title

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_PRICE = 10**12
MAX_ENGINE = 10**6

_FIELD_OF_PART = re.compile(r"^(?:engine[./]|/?)([a-z_]+)")
"""`engine.power_kw`, `options[3]` and `/price` name the fields power_kw, options and price."""


class WholeNumber(StringField):
    """A whole number within [0, `high`]; anything else is refused by its own text. Empty is None."""

    data: Any

    def __init__(self, *args: Any, high: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.high = high

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = (valuelist[0] if valuelist else "").strip()
        self.data = None
        if not text:
            return
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(f"“{_short(text)}” is not a whole number: give digits only, such as 500.")
        if len(text) > 18 or not 0 <= int(text) <= self.high:
            raise ValueError(f"{_short(text)} is out of range: give 0 to {self.high:,}.")
        self.data = int(text)

    def _value(self) -> str:
        return _typed(self)


class Rating(StringField):
    """A rating from 0 to 10 with at most one decimal. An empty field is None."""

    data: Any

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = (valuelist[0] if valuelist else "").strip().replace(",", ".")
        self.data = None
        if not text:
            return
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or not 0 <= value <= 10 or value != round(value, 1):
            raise ValueError(f"“{_short(text)}” is not a rating: give 0 to 10 with one decimal, such as 8.5.")
        self.data = float(value)

    def _value(self) -> str:
        return _typed(self)


class Date(DateField):
    """A date; what is none is refused by its own text. Empty is None."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = (valuelist[0] if valuelist else "").strip()
        self.data = None
        if not text:
            return
        try:
            self.data = datetime.date.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"“{_short(text)}” is not a date: give year-month-day, such as 2021-03-15."
            ) from None


class Choice(SelectField):
    """One of the offered values; another one is refused by its own text."""

    def pre_validate(self, form: Any) -> None:
        offered = [value for value, *_ in self.iter_choices()]
        if self.data not in offered:
            allowed = ", ".join(value for value in offered if value)
            raise ValidationError(f"“{_short(str(self.data))}” is not offered: give one of {allowed}.")


class Slug(StringField):
    """The lower-case name that stands in an address."""

    def pre_validate(self, form: Any) -> None:
        text = self.data or ""
        if not text or SLUG.fullmatch(text):
            return
        proposal = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        remedy = f"try “{_short(proposal)}”" if proposal else "such as e-class"
        raise ValidationError(
            f"“{_short(text)}” cannot stand in an address: use lower-case letters, digits and single hyphens, {remedy}."
        )


class Lines(TextAreaField):
    """A list of texts, one in each line. Empty lines do not count."""

    data: Any

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = valuelist[0] if valuelist else ""
        self.data = [line.strip() for line in text.splitlines() if line.strip()]

    def _value(self) -> str:
        return "\n".join(self.data or ())


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
    fuel = Choice("Fuel", default="", choices=[("", "Not stated"), *((fuel, title(fuel)) for fuel in FUELS)])
    power_kw = WholeNumber("Power (kW)", high=MAX_ENGINE)
    displacement_cc = WholeNumber(
        "Displacement (cm³)",
        high=MAX_ENGINE,
        description="Left empty for an electric car.",
    )
    cylinders = WholeNumber(
        "Cylinders",
        high=99,
        description="Left empty for an electric car.",
    )
    options = Lines("Options", description="One in each line, such as sunroof.")
    description = TextAreaField("Description", [Length(max=4000)], filters=[_strip])

    def validate_fuel(self, field: Field) -> None:
        """An engine is given whole or not at all."""
        figures = (self.power_kw, self.displacement_cc, self.cylinders)
        if not field.data and any(figure.data is not None for figure in figures):
            raise ValidationError("Give the fuel too, or leave all of the engine empty.")

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
    sort = Choice("Order", default="", choices=list(SORTS.items()))

    def offer(self, makers: Sequence[MakerCount]) -> None:
        """Offer these makers, and the chosen one even where no car of it is among them."""
        choices = [("", "All makers")]
        choices += [(each.maker, f"{title(each.maker)} ({each.count})") for each in makers]
        if self.maker.data and self.maker.data not in {each.maker for each in makers}:
            choices.append((self.maker.data, title(self.maker.data)))
        self.maker.choices = choices

    def validate_release_date(self, field: Field) -> None:
        """A year, or a whole date as `car` also takes it."""
        text = (field.data or "").strip()
        if text and not re.fullmatch(r"[0-9]{4}(-[0-9]{2}-[0-9]{2})?", text):
            raise ValidationError(f"“{_short(text)}” is not a year: give four digits, such as 2021.")

    def filters(self) -> dict[str, str]:
        """The query parameters that are set, as typed."""
        return {field.name: value for field in self if (value := _text(field).strip())}


class QuoteForm(Form):
    """The discount to ask a quote for."""

    discount = WholeNumber("Discount", [InputRequired("Give the discount, such as 500.")], high=MAX_PRICE)


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


def _typed(field: Field) -> str:
    """What a person typed, so that it comes back as it was; otherwise the value."""
    if field.raw_data:
        return str(field.raw_data[0])
    return "" if field.data is None else f"{field.data}"


def _text(field: Field) -> str:
    value = field._value() if hasattr(field, "_value") else field.data
    return "" if value is None else str(value)


def _date(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text or "")
    except ValueError:
        return None


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
