"""The part of JSON Schema by which our own files are checked; a complaint says what to give instead.

A validator's own messages name the rule that is broken. These name the remedy: where a pattern is not met,
the schema's `patternErrorMessage`, which editors show as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
_WORDS = {"integer": "an integer", "array": "a list", "object": "a mapping"}


@dataclass(frozen=True)
class Complaint:
    """One thing that is wrong: `path` leads to it from the top, `remedy` says what to give instead."""

    path: tuple[str | int, ...]
    remedy: str

    def at(self, *above: str | int) -> Complaint:
        """The same, seen from further up."""
        return Complaint((*above, *self.path), self.remedy)


def complaints(value: Any, rule: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Complaint]:
    """Everything that is wrong with `value` by a schema, whose `$ref`s are to names of `definitions`."""
    if "$ref" in rule:
        rule = definitions[rule["$ref"].rpartition("/")[2]]
    if remedy := _remedy(value, rule):
        yield Complaint((), remedy)
    elif isinstance(value, dict):
        yield from _of_object(value, rule, definitions)
    elif isinstance(value, list) and "items" in rule:
        for number, item in enumerate(value):
            yield from (each.at(number) for each in complaints(item, rule["items"], definitions))


def _of_object(
    value: Mapping[str, Any], rule: Mapping[str, Any], definitions: Mapping[str, Any]
) -> Iterator[Complaint]:
    known, others = rule.get("properties", {}), rule.get("additionalProperties", {})
    for key, inner in value.items():
        yield from (
            Complaint((key,), f"{key!r} is no name for this: {each.remedy}")
            for each in complaints(key, rule.get("propertyNames", {}), definitions)
        )
        if others is False and key not in known:
            yield Complaint((key,), f"{key!r} is not known here: use {', '.join(known)}")
            continue
        yield from (each.at(key) for each in complaints(inner, known.get(key, others), definitions))
    # Last: a key that is missing may be one that is misspelt.
    if missing := [key for key in rule.get("required", ()) if key not in value]:
        yield Complaint((), f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")


def _remedy(value: Any, rule: Mapping[str, Any]) -> str | None:
    """What to give instead of a value, whatever it holds; None where it is right."""
    if "enum" in rule and value not in rule["enum"]:
        return f"give one of {', '.join(map(str, rule['enum']))}"
    kinds = rule.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"give {' or '.join(_WORDS.get(kind, f'a {kind}') for kind in kinds)}"
    low, high = rule.get("minimum", value), rule.get("maximum", value)
    if isinstance(value, int | float) and not low <= value <= high:
        return f"give a number from {low} to {high}"
    if isinstance(value, str) and "pattern" in rule and not re.search(rule["pattern"], value):
        return str(rule.get("patternErrorMessage", f"give what matches {rule['pattern']}"))
    if isinstance(value, str | list) and len(value) < rule.get("minLength", rule.get("minItems", 0)):
        return "give something, not nothing"
    return None


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
