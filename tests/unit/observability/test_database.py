"""Database statements as spans and durations: what they did and where, never with which values."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from observability.database import parse
from observability.testing import capture


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE cars (maker TEXT PRIMARY KEY, price INT)"))
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "operation", "collection"),
    [
        ("SELECT * FROM cars WHERE x = ?", "SELECT", "cars"),
        ("  select a from main.cars c join y on 1", "SELECT", "main.cars"),
        ('INSERT INTO "cars" (a) VALUES (?)', "INSERT", "cars"),
        ("UPDATE cars SET a = 1", "UPDATE", "cars"),
        ("DELETE FROM ONLY cars", "DELETE", "cars"),
        ("/* hint */ SELECT 1", "SELECT", ""),
        ("-- hint\nSELECT 1 FROM t", "SELECT", "t"),
        ("WITH x AS (SELECT 1 FROM t) INSERT INTO cars SELECT * FROM x", "INSERT", "t"),
        ("CREATE TABLE IF NOT EXISTS cars (a INT)", "CREATE", "cars"),
        ("PRAGMA journal_mode=WAL", "PRAGMA", ""),
        ("BEGIN;", "BEGIN", ""),
        ("frobnicate the table", "OTHER", ""),
        ("", "OTHER", ""),
    ],
)
def test_verb_and_table_are_read_from_the_statement(statement: str, operation: str, collection: str) -> None:
    known = parse(statement)
    assert (known.operation, known.collection) == (operation, collection)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT * FROM t WHERE a = 'it''s me' AND b = 42", "SELECT * FROM t WHERE a = ? AND b = ?"),
        (
            "SELECT * FROM t1 WHERE a = :a_1 AND b = %(b_2)s",
            "SELECT * FROM t1 WHERE a = :a_1 AND b = %(b_2)s",
        ),
        ("SELECT $1, ?1 FROM x2", "SELECT $1, ?1 FROM x2"),
        ("SELECT 1.5", "SELECT ?"),
    ],
)
def test_literals_are_replaced_and_placeholders_stay(statement: str, text: str) -> None:
    assert parse(statement).text == text


def test_a_statement_is_a_client_span_below_the_current_one(
    app: Flask, instrumented: Any, engine: sa.Engine
) -> None:
    tracer = trace.get_tracer("t")
    with capture(instrumented(app)) as got, engine.connect() as connection:  # noqa: SIM117 - reads better
        with tracer.start_as_current_span("request"):
            connection.execute(sa.text("SELECT * FROM cars WHERE maker = :m"), {"m": "s3cret"}).all()
    span = got.span("SELECT cars")
    assert span.kind is SpanKind.CLIENT
    assert span.parent is not None
    assert span.parent.span_id == got.span("request").context.span_id
    assert dict(span.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.operation.name": "SELECT",
        "db.collection.name": "cars",
        "db.query.text": "SELECT * FROM cars WHERE maker = ?",
        "db.query.summary": "SELECT cars",
    }
    assert [span.name for span in got.spans] == ["SELECT cars", "request"], "nothing but the statement"


def test_a_statement_is_measured_with_an_exemplar(app: Flask, instrumented: Any, engine: sa.Engine) -> None:
    with capture(instrumented(app)) as got, engine.connect() as connection:
        connection.execute(sa.text("SELECT 1 FROM cars")).all()
    labels = {"db_system_name": "sqlite", "db_operation_name": "SELECT", "db_collection_name": "cars"}
    assert got.sample("db_client_operation_duration_seconds_count", **labels, error_type="") == 1
    (found,) = got.exemplars("db_client_operation_duration_seconds_bucket", **labels)
    assert found["span_id"] == f"{got.spans[0].context.span_id:016x}"


LATE = """
import sqlite3, sys
from flask import Flask
from observability import instrument
from observability.testing import capture, settings

closed = instrument(Flask("closed"), "closed", settings=settings())
closed.shutdown()
telemetry = instrument(Flask("subject"), "subject", settings=settings())
print("sqlalchemy" in sys.modules)
import sqlalchemy as sa

late = sa.create_engine("sqlite:////nowhere/cars.db", creator=lambda: sqlite3.connect(":memory:"))
with capture(telemetry) as got, late.connect() as connection:
    connection.execute(sa.text("SELECT 1")).all()
print([(span.name, span.attributes["db.namespace"]) for span in got.spans])
"""


def test_sqlalchemy_is_loaded_by_who_uses_it_alone_and_its_engines_are_seen_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["False", "[('SELECT', 'cars.db')]"], done.stderr


def test_an_error_has_its_kind_and_never_its_text(app: Flask, instrumented: Any, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO cars VALUES ('s3cret', 1)"))
    with (
        capture(instrumented(app)) as got,
        pytest.raises(sa.exc.IntegrityError),
        engine.begin() as connection,
    ):
        connection.execute(sa.text("INSERT INTO cars VALUES (:m, 1)"), {"m": "s3cret"})
    span = got.span("INSERT cars")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "sqlite3.IntegrityError"
    assert span.attributes["db.response.status_code"] == "SQLITE_CONSTRAINT_PRIMARYKEY"
    assert "s3cret" not in span.to_json()
    count = "db_client_operation_duration_seconds_count"
    assert got.sample(count, db_operation_name="INSERT", error_type="sqlite3.IntegrityError") == 1


def test_a_statement_that_cannot_even_be_parsed_ends_its_span(
    app: Flask, instrumented: Any, engine: sa.Engine
) -> None:
    with capture(instrumented(app)) as got, pytest.raises(sa.exc.OperationalError), engine.connect() as c:
        c.execute(sa.text("SELEKT nonsense"))
    assert got.span("OTHER").attributes["error.type"] == "sqlite3.OperationalError"


def test_suppressed_and_shut_down_means_nothing_is_seen(
    app: Flask, instrumented: Any, engine: sa.Engine
) -> None:
    telemetry = instrumented(app)
    with capture(telemetry) as got, suppress_instrumentation(), engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
    assert not got.spans
    with capture(telemetry) as got:
        telemetry.shutdown()
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))
    assert not got.spans
    assert got.sample("db_client_operation_duration_seconds_count") == 0
