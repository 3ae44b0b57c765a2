"""However it is disturbed, an order ends confirmed everywhere or taken back everywhere."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import ClassVar

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from market import CHEAP, DEAR, GONE, Market

from services.orders.catalogue import Missing

SETTINGS = hypothesis.settings(
    max_examples=60,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
CARS = st.sampled_from([CHEAP, CHEAP, CHEAP, DEAR, GONE])


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    market = Market(tmp_path)
    yield market
    market.close()


def whole(market: Market, name: str) -> str:
    """`confirmed` or `cancelled`; an AssertionError where the parts do not agree on one of them."""
    order, reserved, answer = market.state_of(name)
    if order.state == "confirmed":
        assert (reserved, answer) == ("active", "granted"), (order, reserved, answer)
    else:
        assert order.state == "cancelled", (order, reserved, answer)
        assert reserved in ("", "cancelled"), (order, reserved, answer)
        assert answer != "granted", (order, reserved, answer)
    return order.state


def test_an_undisturbed_order_is_confirmed_everywhere(market: Market) -> None:
    market.place("one", CHEAP)
    market.settle(5)
    assert whole(market, "one") == "confirmed"
    order = market.orders.find("one")
    assert [state for state, _ in order.steps] == ["pricing", "confirming", "confirmed"]
    assert (order.price, order.currency) == (61_500, "EUR")


@pytest.mark.parametrize(("car", "reason"), [(DEAR, "dealer"), (GONE, "no car")])
def test_an_order_that_is_refused_is_taken_back_and_says_why(
    market: Market, car: tuple[str, str], reason: str
) -> None:
    market.place("one", car)
    market.settle(5)
    assert whole(market, "one") == "cancelled"
    assert reason in market.orders.find("one").reason


def test_an_order_without_an_answer_is_taken_back_after_its_deadline(market: Market) -> None:
    market.place("one", CHEAP)
    for _ in range(30):
        market.work()
        market.relay("orders")
        market.broker.clear()  # lost
        market.now += 1
    assert market.orders.find("one").state == "withdrawing"
    assert "20 s" in market.orders.find("one").reason
    market.settle(30)
    assert whole(market, "one") == "cancelled"


def test_a_dealer_that_is_away_for_long_is_asked_ever_more_rarely_and_in_the_end_answers(
    market: Market,
) -> None:
    market.place("one", CHEAP)
    asked = []
    for _ in range(3600):
        market.work()
        market.relay("orders")
        asked += [market.now for message in market.broker if message.body["type"] == "withdraw"]
        market.broker.clear()  # nobody took them in time
        market.now += 1
    pauses = [after - before for before, after in itertools.pairwise(asked)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 300
    assert len(asked) < 25, asked
    market.settle()
    assert whole(market, "one") == "cancelled"


def test_an_order_that_is_placed_twice_under_one_key_is_one(market: Market) -> None:
    market.place("one", CHEAP, key="click")
    market.place("two", CHEAP, key="click")
    market.settle(5)
    with pytest.raises(Missing):
        market.orders.find("two")
    assert market.state_elsewhere("two") == ("", "")


ACTIONS = {
    "orders sends": lambda market, pick: market.relay("orders"),
    "dealer sends": lambda market, pick: market.relay("dealer"),
    "the next message comes": lambda market, pick: market.deliver(0, keep=False),
    "another message comes first": lambda market, pick: market.deliver(pick, keep=False),
    "a message comes and will come again": lambda market, pick: market.deliver(pick, keep=True),
    "a message is lost": lambda market, pick: market.lose(pick),
    "an old message comes once more": lambda market, pick: market.repeat(pick),
    "a late request arrives": lambda market, pick: market.arrive(),
    "orders works": lambda market, pick: market.work(),
    "a second passes": lambda market, pick: market.wait(1.0),
    "the deadline passes": lambda market, pick: market.wait(21.0),
}
"""What happens, for better or worse; `pick` chooses among messages."""


class Disturbed(RuleBasedStateMachine):
    """Orders are placed while parts end and messages get lost, late, doubled and out of order."""

    market: ClassVar[Market]
    outcomes: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        super().__init__()
        self.market.clear()
        self.names: list[str] = []

    @rule(car=CARS, end=st.none() | st.integers(0, 12))
    def place(self, car: tuple[str, str], end: int | None) -> None:
        self.names.append(f"order-{len(self.names)}")
        self.market.points.left = end
        self.market.place(self.names[-1], car)

    @rule(trouble=st.lists(st.sampled_from(["before", "after", "late", ""]), max_size=3))
    def car_is_in_trouble(self, trouble: list[str]) -> None:
        self.market.car_trouble[:] = trouble

    @rule(actions=st.lists(st.sampled_from(sorted(ACTIONS)), min_size=1, max_size=12), pick=st.integers(0, 9))
    def things_happen(self, actions: list[str], pick: int) -> None:
        for action in actions:
            ACTIONS[action](self.market, pick)

    @rule(action=st.sampled_from(sorted(ACTIONS)), pick=st.integers(0, 9), end=st.integers(0, 6))
    def a_part_is_ended(self, action: str, pick: int, end: int) -> None:
        self.market.points.left = end
        ACTIONS[action](self.market, pick)
        self.market.points.left = None

    def teardown(self) -> None:
        self.market.settle(newest_first=True)
        for name in self.names:
            if self.market.known(name):
                self.outcomes.add(whole(self.market, name))


def test_a_disturbed_order_ends_confirmed_or_fully_taken_back() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Disturbed.market = Market(Path(folder))
        Disturbed.outcomes.clear()
        try:
            run_state_machine_as_test(Disturbed, settings=SETTINGS)
        finally:
            Disturbed.market.close()
    assert Disturbed.outcomes == {"confirmed", "cancelled"}, "only one of the ends was ever reached"


def test_of_many_orders_in_a_storm_none_is_left_between(market: Market) -> None:
    """`STORM_ORDERS=10000` is the figure of docs/msa-drawbacks.md; `STORM_SEED` makes another storm."""
    count, chance = (
        int(os.environ.get("STORM_ORDERS", "150")),
        Random(os.environ.get("STORM_SEED", "dashcam")),
    )
    ways: Counter[str] = Counter()
    for first in range(0, count, 50):
        names = [f"order-{number}" for number in range(first, min(first + 50, count))]
        market.clear()
        _storm(market, names, chance)
        market.settle(newest_first=True)
        for name in names:
            if market.known(name):
                ways[whole(market, name)] += 1
                ways.update({state for state, _ in market.orders.find(name).steps})
    assert min(ways[each] for each in ("confirmed", "cancelled", "withdrawing")) > count / 50, ways


def _storm(market: Market, names: list[str], chance: Random) -> None:
    left = list(names)
    while left or chance.random() < 0.98:
        market.points.left = chance.randrange(10) if chance.random() < 0.2 else None
        market.car_trouble[:] = [chance.choice(["before", "after", "late"])] if chance.random() < 0.1 else []
        if left and chance.random() < 0.2:
            market.place(left.pop(), chance.choice([CHEAP, CHEAP, CHEAP, CHEAP, DEAR, GONE]))
        else:
            (action,) = chance.choices(list(ACTIONS), [20, 20, 30, 20, 5, 2, 3, 5, 20, 10, 1])
            ACTIONS[action](market, chance.randrange(20))
        market.points.left = None
