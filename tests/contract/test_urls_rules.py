"""The seven rules of addresses, held for every route of every service.

`/` shows hierarchy; no trailing `/`; `-` for readability; no `_`; lower case; no file extension; related
resources as `/resource/id/related-resource`. And no verb in a path: the method is the verb.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
from serviceapps import service_app

from dashcam.registry.catalogue import load

SERVICES = load().names

EXTENSION_ALLOWED = {"/openapi.json": "the address at which tools look for the document"}

VERBS = re.compile(
    r"get|fetch|read|show|list|find|search|create|add|insert|make|update|set|change|edit|modify|replace|save|"
    r"store|delete|remove|destroy|send|do|run|execute|calculate|compute|subtract|put|post|patch"
)


@cache
def rules(service: str) -> tuple[str, ...]:
    """The rules of the service's routes, such as `/cars/<string:maker>`."""
    with service_app(service) as app:
        return tuple(sorted({rule.rule for rule in app.url_map.iter_rules()}))


def every_route() -> list[str]:
    """The addresses of all services. A service without routes would prove nothing."""
    found = [rule for service in SERVICES for rule in rules(service)]
    assert all(rules(service) for service in SERVICES)
    return found


def segments(rule: str) -> list[str]:
    return [segment for segment in rule.split("/") if segment]


def is_variable(segment: str) -> bool:
    return segment.startswith("<")


def words() -> Iterator[tuple[str, str]]:
    """Every fixed segment, with the rule it stands in."""
    for rule in every_route():
        for segment in segments(rule):
            if not is_variable(segment):
                yield rule, segment


@pytest.mark.parametrize("service", SERVICES)
def test_a_slash_shows_hierarchy(service: str) -> None:
    known = {"/", *rules(service)}
    for rule in known:
        assert "//" not in rule, rule
        parts = segments(rule)
        assert not parts or not is_variable(parts[0]), f"{rule}: an id stands below what it is an id of"
        # Each id is an address of its own, and so is what belongs to it: nothing hangs in the air.
        for end in range(1, len(parts)):
            above = "/" + "/".join(parts[:end])
            if is_variable(parts[end - 1]):
                assert above in known, f"{rule} is below {above}, which is no address"


def test_no_address_ends_in_a_slash() -> None:
    assert [rule for rule in every_route() if rule != "/" and rule.endswith("/")] == []


def test_words_are_joined_by_hyphens() -> None:
    bad = [
        (rule, word) for rule, word in words() if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*(\.json)?", word)
    ]
    assert bad == []


def test_no_address_has_an_underscore() -> None:
    assert [rule for rule, word in words() if "_" in word] == []


def test_addresses_are_lower_case() -> None:
    assert [rule for rule, word in words() if word != word.lower()] == []


def test_no_address_has_a_file_extension() -> None:
    assert {rule for rule, word in words() if "." in word} == EXTENSION_ALLOWED.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_related_resources_stand_below_the_id_of_what_they_belong_to(service: str) -> None:
    for rule in rules(service):
        kinds = "".join("i" if is_variable(segment) else "r" for segment in segments(rule))
        # /resource, then ids (maker and model together are one), then at most one related resource of each.
        assert re.fullmatch(r"(r(i+r)*i*)?", kinds), f"{rule} is not /resource/id/related-resource"


def test_no_address_has_a_verb() -> None:
    assert [rule for rule, word in words() if any(map(VERBS.fullmatch, word.split("-")))] == []


def test_the_rules_were_asked_of_every_service() -> None:
    assert {"/cars/<string:maker>/<string:model>/quote", "/hello"} <= set(every_route())
