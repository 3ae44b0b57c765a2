"""What chosen traces share: named where it is more than chance, and not where it is not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from dashcam.diagnose.shared import Trait, shared
from dashcam.model.traces import Span, Trace


def span(
    number: int, *, service: str = "shop", operation: str = "GET /cars/<maker>", **attributes: Any
) -> Span:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span("t", str(number), None, operation, service, 0, 1000, named, {"service.version": "1"})


def trace(number: int, *spans: Span) -> Trace:
    return Trace(f"t{number}", spans)


def texts(traits: Sequence[Trait]) -> list[str]:
    return [("not " if trait.lacking else "") + trait.text for trait in traits]


def of_customer(number: int, customer: str, **attributes: Any) -> Trace:
    return trace(number, span(number, app__customer=customer, http__request__id=f"r{number}", **attributes))


def test_the_attribute_of_the_chosen_is_named_with_its_counts() -> None:
    bad = [of_customer(number, "acme") for number in range(10)]
    good = [of_customer(number, ("blue", "acme", "red")[number % 3]) for number in range(10, 40)]
    (found,) = shared(bad, good)
    assert found.text == "shop: app.customer = acme"
    assert (found.chosen, found.others, found.lacking) == (10, 10, False)
    assert found.chance < 0.05


def test_what_the_same_traces_have_is_one_trait_with_what_was_asked_for_first() -> None:
    paths = {"http__route": "/cars/<maker>", "app__tenant": "t1"}
    bad = [of_customer(number, f"c{number}", url__path="/cars/bentz", **paths) for number in range(12)]
    good = [
        of_customer(number, f"c{number}", url__path=f"/cars/m{number}", **paths) for number in range(12, 40)
    ]
    (found,) = shared(bad, good)
    assert found.text == "shop: maker = bentz"
    assert "shop: url.path = /cars/bentz" in texts(found.also)


def test_what_the_chosen_lack_is_named() -> None:
    def bought(number: int, cached: bool) -> Trace:
        spans = [span(number), span(1000 + number, service="cache", operation="GET key")]
        return trace(number, *(spans if cached else spans[:1]))

    found = shared(
        [bought(number, False) for number in range(10)], [bought(number, True) for number in range(30)]
    )
    assert found[0].lacking
    assert "cache: GET key" in [found[0].text, *texts(found[0].also)]


def test_a_threshold_is_found_among_numbers_that_all_differ() -> None:
    bad = [of_customer(number, "a", app__items=100 + number) for number in range(10)]
    good = [of_customer(number, "a", app__items=number) for number in range(10, 50)]
    assert "shop: app.items at least 100" in texts(shared(bad, good))


def odd(chance: random.Random) -> dict[str, int]:
    """Values of few kinds, and numbers that nearly all differ."""
    return {f"app__x{name}": chance.randrange(3 + 100 * (name % 2)) for name in range(20)}


def test_chance_names_nothing() -> None:
    for seed in range(20):
        chance = random.Random(seed)
        traces = [of_customer(number, chance.choice("abc"), **odd(chance)) for number in range(60)]
        assert shared(traces[:15], traces[15:]) == [], seed


def test_too_few_say_nothing() -> None:
    bad = [of_customer(number, "acme") for number in range(2)]
    assert shared(bad, [of_customer(number, "blue") for number in range(50)]) == []
    assert shared([of_customer(number, "acme") for number in range(50)], []) == []


def test_what_failing_is_called_is_no_trait() -> None:
    bad = [of_customer(number, "a", error=True, otel__status_code="ERROR") for number in range(10)]
    assert shared(bad, [of_customer(number, "a") for number in range(40)]) == []
