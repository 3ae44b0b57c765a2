"""The counters of a day, a value for each minute: requests that come by chance (Poisson)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator

MINUTES = 24 * 60
Rate = Callable[[int], float]
"""Requests a minute in the given minute of the day."""


def steady(per_minute: float) -> Rate:
    """The same all day."""
    return lambda minute: per_minute


def by_day(per_minute: float, night: float = 0.2) -> Rate:
    """As people live: `night` of the most at four in the morning, the most twelve hours later."""
    middle = (1 + night) / 2
    return lambda minute: (
        per_minute * (middle - (middle - night) * math.cos((minute - 4 * 60) / MINUTES * math.tau))
    )


def bursts(usual: Rate, times: float, every: int, length: int) -> Rate:
    """The usual traffic, `times` as much for `length` minutes in each `every`."""
    return lambda minute: usual(minute) * (times if minute % every < length else 1)


def poisson(chance: random.Random, mean: float) -> int:
    """How many of events that come independently come, where `mean` are expected."""
    if mean > 50:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def some(chance: random.Random, number: int, share: float) -> int:
    """How many of `number` are among a `share` of all."""
    return min(number, poisson(chance, number * share))


def counter(events: Iterable[int], began: int = 0) -> Iterator[int]:
    """The running total."""
    total = began
    for each in events:
        total += each
        yield total


def written(values: Iterable[float | None]) -> str:
    """The values as promtool reads them; None is a scrape that did not happen."""
    return " ".join("_" if value is None else f"{value:g}" if value < 1e6 else str(value) for value in values)


def row(name: str, values: Iterable[float | None], *labels: str) -> dict[str, str]:
    """The input series of promtool."""
    return {"series": f"{name}{{{','.join(labels)}}}", "values": written(values)}
