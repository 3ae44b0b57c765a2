"""Whether a difference is more than chance: exact tests of shares, and where a sequence changed.

Telemetry offers hundreds of places to look at, so a difference counts only if it is rare after it is
multiplied by how many were looked at (Bonferroni).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

SURE, LIKELY = 0.001, 0.05
"""How likely chance alone may be, over all that was looked at: to be sure, and to say anything."""
FEWEST, MANY = 3, 10
"""Observations that each side of a change must have, and from which on they are many."""
WHOLLY = 0.8
"""The share that is nearly always."""
ALIKE = 0.9
"""The most that neighbours are taken to repeat each other."""


@dataclass(frozen=True)
class Change:
    """A sequence from whose `index` on more is true: `was` of `before`, then `now` of `after`.

    `chance` is how likely so clear a change is where nothing changed.
    """

    index: int
    was: int
    before: int
    now: int
    after: int
    chance: float

    @property
    def wholly(self) -> bool:
        """Whether it is nearly always so now, and hardly ever was before."""
        return self.now >= WHOLLY * self.after and self.was <= (1 - WHOLLY) * self.before

    def __str__(self) -> str:
        return f"{self.now} of {self.after} times, {self.was} of {self.before} before"


def more(was: int, before: int, now: int, after: int) -> float:
    """How likely `now` of `after` or more are by chance, beside `was` of `before` (Fisher's exact test)."""
    true, size = was + now, before + after
    shared = math.lgamma(true + 1) + math.lgamma(size - true + 1) - math.lgamma(size + 1)
    shared += math.lgamma(after + 1) + math.lgamma(before + 1)
    chance = 0.0
    for count in range(now, min(true, after) + 1):
        if true - count > before:
            continue
        cells = count, after - count, true - count, before - true + count
        chance += math.exp(shared - sum(math.lgamma(cell + 1) for cell in cells))
    return min(1.0, chance)


def rise(flags: Sequence[bool]) -> Change | None:
    """The clearest moment from which on more of `flags` are true; None where there is none to speak of.

    Requests come in bursts of the same kind, and neighbours then say the same thing twice: by as much as
    they repeat each other on either side, they count for less.
    """
    size, true = len(flags), sum(flags)
    best, found, was = 0.0, None, 0
    for index in range(1, size):
        was += flags[index - 1]
        before, after, now = index, size - index, true - was
        if before < FEWEST or after < FEWEST or now * before <= was * after:
            continue
        clear = _likelihood(was, before) + _likelihood(now, after)
        if found is None or clear > best:
            best, found = clear, (index, was)
    if found is None:
        return None
    index, was = found
    now, after = true - was, size - index
    chance = more(was, index, now, after) ** _independent(flags, index)
    return Change(index, was, index, now, after, min(1.0, chance * _chosen(size)))


def shift(values: Sequence[float]) -> Change | None:
    """The clearest moment from which on `values` are larger, by their ranks; None where there is none.

    Ranks make no difference between late and very late: a few odd values move nothing. In the answer, true
    is what belongs to the largest, of which as many are counted as came since.
    """
    size = len(values)
    ranks = _ranks(values)
    usual, square = (size + 1) / 2, sum((rank - (size + 1) / 2) ** 2 for rank in ranks)
    if not square:
        return None
    best, found, total = 0.0, 0, 0.0
    for index in range(1, size):
        total += ranks[index - 1] - usual
        before, after = index, size - index
        # How far the sum of the ranks is from what is expected, in standard deviations.
        far = -total / math.sqrt(square * before * after / (size * (size - 1)))
        if before >= FEWEST and after >= FEWEST and far > best:
            best, found = far, index
    if not found:
        return None
    # As many count as large as came since: so the two sides are apart as far as they can be.
    large = [rank > found for rank in ranks]
    was, now = sum(large[:found]), sum(large[found:])
    alone = _independent(ranks, found)
    # The sum of ranks is normal only where they are many: of a few, how many are large tells.
    many = min(found, size - found) >= MANY
    chance = _tail(best * math.sqrt(alone)) if many else more(was, found, now, size - found) ** alone
    return Change(found, was, found, now, size - found, min(1.0, chance * _chosen(size)))


def by_group(change: Change, flags: Sequence[bool], groups: Sequence[Hashable]) -> Change:
    """`change` where what is of one group is one observation: calls within one trace suffer together."""
    sides: tuple[dict[Hashable, bool], dict[Hashable, bool]] = {}, {}
    for place, (flag, group) in enumerate(zip(flags, groups, strict=True)):
        side = sides[place >= change.index]
        side[group] = side.get(group, False) or flag
    (before, since), size = sides, len(flags)
    chance = more(sum(before.values()), len(before), sum(since.values()), len(since)) * _chosen(size)
    return replace(change, chance=min(1.0, max(change.chance, chance)))


def busier(was: float, before: float, now: float, after: float) -> float:
    """How likely so many more events for each request are by chance: `now` in `after` requests, beside `was`.

    Of events only their numbers are known. One request may bring many and the next none, so their variance is
    taken to be that of a count that is geometrically distributed.
    """
    if not before or not after:
        return 1.0
    usual, rate = was / before, now / after
    spread = math.sqrt((usual * usual + usual) / before + (rate * rate + rate) / after)
    return _tail((rate - usual) / spread) if spread else 1.0


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value, from 1 on; equal ones share theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    place = 0
    for _, same in itertools.groupby(order, key=values.__getitem__):
        each = list(same)
        for index in each:
            ranks[index] = place + (len(each) + 1) / 2
        place += len(each)
    return ranks


def _tail(far: float) -> float:
    return math.erfc(far / math.sqrt(2)) / 2


def _chosen(size: int) -> float:
    """What it costs to have chosen the clearest border of all: found by trying it on random values."""
    return max(1.0, math.sqrt(size) - 3)


def _likelihood(true: int, size: int) -> float:
    return sum(count * math.log(count / size) for count in (true, size - true) if count)


def _independent(flags: Sequence[float], index: int) -> float:
    """The part of the observations that is worth something of its own."""
    square = product = 0.0
    for side in (flags[:index], flags[index:]):
        usual = sum(side) / len(side)
        rest = [flag - usual for flag in side]
        square += sum(one * one for one in rest)
        product += sum(one * other for one, other in itertools.pairwise(rest))
    alike = min(ALIKE, max(0.0, product / square)) if square else 0.0
    return (1 - alike) / (1 + alike)
