"""The kinds of fields of the forms: each refuses what it cannot take by its own text, and says what to give.

What a person typed comes back as it was typed, also where it cannot be used.
"""

from __future__ import annotations

import datetime
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from wtforms import DateField, Field, SelectField, StringField, TextAreaField
from wtforms.validators import ValidationError

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class WholeNumber(StringField):
    """A whole number within [`low`, `high`]; anything else is refused by its own text. Empty is None."""

    data: Any

    def __init__(self, *args: Any, low: int = 0, high: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.low, self.high = low, high

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = (valuelist[0] if valuelist else "").strip()
        self.data = None
        if not text:
            return
        if not re.fullmatch(r"[+-]?[0-9]+", text):
            raise ValueError(f"“{short(text)}” is not a whole number: give digits only, such as 500.")
        if len(text) > 18 or not self.low <= int(text) <= self.high:
            raise ValueError(f"{short(text)} is out of range: give {self.low:,} to {self.high:,}.")
        self.data = int(text)

    def _value(self) -> str:
        return typed(self)


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
            raise ValueError(f"“{short(text)}” is not a rating: give 0 to 10 with one decimal, such as 8.5.")
        self.data = float(value)

    def _value(self) -> str:
        return typed(self)


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
                f"“{short(text)}” is not a date: give year-month-day, such as 2021-03-15."
            ) from None


class Choice(SelectField):
    """One of the offered values; another one is refused by its own text."""

    def pre_validate(self, form: Any) -> None:
        offered = [value for value, *_ in self.iter_choices()]
        if self.data not in offered:
            allowed = ", ".join(value for value in offered if value)
            raise ValidationError(f"“{short(str(self.data))}” is not offered: give one of {allowed}.")


class Slug(StringField):
    """The lower-case name that stands in an address."""

    def pre_validate(self, form: Any) -> None:
        text = self.data or ""
        if not text or SLUG.fullmatch(text):
            return
        proposal = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
        remedy = f"try “{short(proposal)}”" if proposal else "such as e-class"
        raise ValidationError(
            f"“{short(text)}” cannot stand in an address: "
            f"use lower-case letters, digits and single hyphens, {remedy}."
        )


class Lines(TextAreaField):
    """A list of texts, one in each line. Empty lines do not count."""

    data: Any

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = valuelist[0] if valuelist else ""
        self.data = [line.strip() for line in text.splitlines() if line.strip()]

    def _value(self) -> str:
        return "\n".join(self.data or ())


def typed(field: Field) -> str:
    """What a person typed, so that it comes back as it was; otherwise the value."""
    if field.raw_data:
        return str(field.raw_data[0])
    return "" if field.data is None else f"{field.data}"


def short(text: str) -> str:
    """A refused value as a message quotes it."""
    return text if len(text) <= 40 else text[:40] + "…"
