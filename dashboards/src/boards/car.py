"""car's domain and its database: what the business does, and whether the store keeps up."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src.boards import red
from dashboards.src.boards.page import page
from dashboards.src.panels import (
    AMBER,
    BAD_ABOVE_ZERO,
    GREEN,
    OBJECTIVE,
    RED,
    PanelBuilder,
    Query,
    graph,
    note,
    number,
    row,
)
from observability import schema
from services.car.signals import QUOTES

CAR = 'job="car"'
QUOTE = f'{CAR},http_route=~".+/quote"'
DB = schema.DB_CLIENT_DURATION
_HOW = """
**Quotes are the business.** *Unavailable* quotes are lost sales and count against the objective; *rejected*
ones are customers asking for too large a discount. Quotes failing while the catalogue is well: the
service that works them out. Both failing: the database. More database operations for each request than
usual: a query in a loop.
"""


def build() -> Dashboard:
    """The page of the catalogue."""
    board = page("car", "The catalogue", "Quotes, catalogue traffic and the database of car.")
    board.with_panel(note("How to read this page", _HOW, height=4))
    for title, panels in (("Quotes", _quotes()), ("Catalogue", _catalogue()), ("Database", _database())):
        board.with_row(row(title))
        for panel in panels:
            board.with_panel(panel)
    return board.build()


def _quotes() -> list[PanelBuilder]:
    quotes = QUOTES.sample
    every = f"sum(rate({quotes}{{{CAR}}}[{red.RATE}]))"
    lost = f'sum(rate({quotes}{{{CAR},outcome="unavailable"}}[{red.RATE}]))'
    return [
        number(
            "Quotes a minute",
            "How much business there is.",
            "none",
            Query(f"60 * {every}", "quotes"),
            decimals=1,
        ),
        number(
            "Quotes lost",
            "The share that could not be given because what works them out was away.",
            "percentunit",
            Query(f"({lost} or 0 * {every}) / ({every} > 0)", "lost"),
            steps=BAD_ABOVE_ZERO,
        ),
        graph(
            "Quotes by outcome",
            "unavailable: lost sales. rejected: a discount beyond the price, the customer's affair.",
            "cps",
            Query(f"sum by (outcome) (rate({quotes}{{{CAR}}}[{red.RATE}]))", "{{outcome}}"),
            stacked=True,
        ),
        graph(
            "Duration of a quote",
            "The call to who works it out is in it. A point opens its trace.",
            "s",
            Query(red.quantile(0.5, "job", QUOTE), "p50"),
            Query(red.quantile(0.99, "job", QUOTE), "p99", exemplars=True),
            Query('slo:threshold:seconds{slo="quote-latency"}', f"{OBJECTIVE} {{{{slo}}}}"),
        ),
    ]


def _catalogue() -> list[PanelBuilder]:
    every = _per_second(red.SERVER.sample)
    read = f'{CAR},http_request_method=~"GET|HEAD"'
    reads = f"sum(rate({red.SERVER.sample}{{{read}}}[{red.RATE}]))"
    unchanged = f'sum(rate({red.SERVER.sample}{{{read},http_response_status_code="304"}}[{red.RATE}]))'
    return [
        graph(
            "Reads and writes",
            "By method. Writes are few; a burst of DELETE deserves a question.",
            "reqps",
            Query(red.rate("http_request_method", CAR), "{{http_request_method}}"),
            stacked=True,
        ),
        graph(
            "Answered from the caller's cache",
            "The share of reads answered with 304 by ETag. A fall to zero: every read is a full one again.",
            "percentunit",
            Query(
                f"({unchanged} or 0 * {reads}) / ({reads} > 0)",
                "304",
            ),
        ),
        graph(
            "Refused requests",
            "By status: 401 and 403 are tokens, 404 dead links, 409 duplicates, 412 two people "
            "editing, 422 bad input.",
            "reqps",
            Query(
                f"sum by (http_response_status_code) "
                f'(rate({red.SERVER.sample}{{{CAR},http_response_status_code=~"4.."}}[{red.RATE}])) or '
                f"{red.named(f'0 * {every}', 'http_response_status_code', 'none')}",
                "{{http_response_status_code}}",
            ),
            stacked=True,
        ),
    ]


def _database() -> list[PanelBuilder]:
    operations, requests = _per_second(DB.sample), _per_second(red.SERVER.sample)
    spent = _per_second(DB.name + "_sum")
    return [
        graph(
            "Operations",
            "By verb and table.",
            "ops",
            Query(
                red.rate("db_operation_name, db_collection_name", CAR, DB),
                "{{db_operation_name}} {{db_collection_name}}",
            ),
            stacked=True,
        ),
        graph(
            "Duration (p99)",
            "By verb. Writes slower than reads is normal; reads at whole boundaries of seconds are "
            "waiting for a lock.",
            "s",
            Query(red.quantile(0.99, "db_operation_name", CAR, DB), "{{db_operation_name}}", exemplars=True),
        ),
        graph(
            "Operations that fail",
            "By error. `database is locked` and connection errors show here before requests fail.",
            "ops",
            Query(
                f'sum by (error_type) (rate({DB.sample}{{{CAR},error_type!=""}}[{red.RATE}])) or '
                f"{red.named(f'0 * {operations}', 'error_type', 'none')}",
                "{{error_type}}",
            ),
        ),
        number(
            "Operations for each request",
            "Above ten: a query in a loop (N+1).",
            "none",
            Query(f"{operations} / ({requests} > 0)", "operations"),
            width=8,
            decimals=1,
            steps=((None, GREEN), (10, AMBER), (30, RED)),
        ),
        number(
            "Time in the database, for each request",
            "Compare with the duration of requests: the rest is Python and the network.",
            "s",
            Query(f"{spent} / ({requests} > 0)", "time"),
            width=8,
        ),
        number(
            "Connections that work",
            "1: car's own check of its database passes everywhere.",
            "none",
            Query(f'min({schema.DEPENDENCY_UP.sample}{{{CAR},dependency="database"}})', "database"),
            width=8,
            steps=((None, RED), (1, GREEN)),
        ),
    ]


def _per_second(name: str) -> str:
    return f"sum(rate({name}{{{CAR}}}[{red.RATE}]))"
