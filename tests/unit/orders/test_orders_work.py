"""How `orders` looks for what is due and what waits, however much there is and whatever one order does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from market import CHEAP, Market
from opentelemetry import trace
from sqlalchemy.dialects import postgresql

from services.dealer.catalogue import GRANTED, REFUSED, WITHDRAWN, Answer
from services.messages import boxes
from services.messages.envelope import Message
from services.orders.runner import Runner


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    market = Market(tmp_path)
    yield market
    market.close()


def statements(market: Market, dialect: Any = None) -> list[Any]:
    """What is executed on the database of `orders` from now on: the text and its parameters."""
    seen: list[Any] = []

    def before(_: Any, clause: Any, *__: Any) -> None:
        if isinstance(clause, sa.sql.ClauseElement):
            seen.append(clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))

    sa.event.listen(market.databases["orders"].engine, "before_execute", before)
    return seen


def test_the_undecided_orders_are_counted_without_reading_the_decided_ones(market: Market) -> None:
    market.place("one", CHEAP)
    seen = statements(market, market.databases["orders"].engine.dialect)
    (waiting,) = market.orders.waiting()
    assert (waiting.state, waiting.count) == ("confirming", 1)
    (asked,) = seen
    with market.databases["orders"].engine.connect() as connection:
        values = tuple(asked.params[name] for name in asked.positiontup)
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", values).all()
    assert "USING INDEX orders_state" in str(plan)
    assert "SCAN" not in str(plan)


def test_few_orders_are_taken_at_a_time_and_nobody_elses(market: Market) -> None:
    for name in ("one", "two", "three"):
        market.place(name, CHEAP)
    market.now += 5
    seen = statements(market, postgresql.dialect())  # type: ignore[no-untyped-call]
    first = market.sagas.due()
    assert len(first) == 2, "the last of them must begin within its lease"
    assert len(market.sagas.due()) == 1
    assert market.sagas.due() == []
    assert "FOR UPDATE SKIP LOCKED" in str(seen[0])


def test_an_order_that_cannot_be_worked_on_does_not_keep_the_others(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = []

    def wake(_: Any, order: str) -> None:
        woken.append(order)
        raise RuntimeError("something of this order")

    for name in ("one", "two"):
        market.place(name, CHEAP)
    market.now += 5
    monkeypatch.setattr("services.orders.sagas.Sagas.wake", wake)
    Runner(market.sagas, trace.get_tracer("test"))._work()
    assert sorted(woken) == ["one", "two"]


def test_the_dealer_forgets_in_time_what_it_withdrew_and_never_what_it_granted(market: Market) -> None:
    store = market.dealer.store

    def said(order: str, state: str, now: float) -> None:
        answer = Message(f"{order}.answer", "orders.answers", order, {})
        store.answer(order, f"{order}.{now}", lambda known: Answer(state), lambda _: answer, now)

    said("granted", GRANTED, 0.0)
    said("withdrawn", WITHDRAWN, 0.0)
    said("late", REFUSED, 60.0)
    said("other", GRANTED, boxes.REMEMBERED + 30)
    assert store.find("withdrawn") is None
    assert [(store.find(order) or Answer("")).state for order in ("granted", "late")] == [GRANTED, REFUSED]
