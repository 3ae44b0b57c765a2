"""A user's own metrics arrive on /metrics, with no declaration, and a name that is taken is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import prometheus_client
import pytest
from flask import Flask
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from prometheus_client import CollectorRegistry

from observability import NameTaken, Telemetry, instrument, schema
from observability.metrics.current import CurrentMeterProvider
from observability.metrics.exposition import OwnMetrics, render
from observability.metrics.instruments import OpenMeterProvider
from observability.metrics.meters import Families
from observability.metrics.names import labels, prometheus_name
from observability.testing import capture, settings

SCOPE = 'otel_scope_name="shop"'
KIND = {"order.kind": "gift"}


def page(telemetry: Telemetry, openmetrics: bool = False) -> str:
    """What /metrics shows."""
    return render(OwnMetrics(*telemetry.families.registries).snapshot(), openmetrics).decode()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """No observable instrument of a test is there in the next."""
    yield
    provider = metrics.get_meter_provider()
    if isinstance(provider, CurrentMeterProvider):
        provider.forget()


@pytest.fixture
def telemetry(app: Flask, instrumented: Any) -> Telemetry:
    made: Telemetry = instrumented(app)
    return made


def test_a_counter_arrives(telemetry: Telemetry) -> None:
    counter = metrics.get_meter("shop", "1.5").create_counter("orders.placed", description="Orders.")
    counter.add(1)
    counter.add(2, KIND)
    shown = page(telemetry)
    assert "# HELP orders_placed_total Orders.\n# TYPE orders_placed_total counter\n" in shown
    assert f'orders_placed_total{{{SCOPE},otel_scope_version="1.5"}} 1.0\n' in shown
    assert f'orders_placed_total{{order_kind="gift",{SCOPE},otel_scope_version="1.5"}} 2.0\n' in shown


def test_an_up_down_counter_a_gauge_and_a_histogram_arrive(telemetry: Telemetry) -> None:
    meter = metrics.get_meter("shop")
    open_orders = meter.create_up_down_counter("orders.open", "{order}")
    open_orders.add(5)
    open_orders.add(-2)
    meter.create_gauge("stock.ratio", "1").set(0.25, KIND)
    sizes = meter.create_histogram(
        "order.size", "By", "Bytes.", explicit_bucket_boundaries_advisory=[10.0, 100.0]
    )
    for size in (5, 50, 500):
        sizes.record(size)
    shown = page(telemetry)
    assert f"orders_open{{{SCOPE}}} 3.0\n" in shown
    assert f'stock_ratio{{order_kind="gift",{SCOPE}}} 0.25\n' in shown
    for bound, count in (("10.0", 1), ("100.0", 2), ("+Inf", 3)):
        assert f'order_size_bytes_bucket{{le="{bound}",{SCOPE}}} {count}.0\n' in shown
    assert f"order_size_bytes_sum{{{SCOPE}}} 555.0\n" in shown


def test_observable_instruments_are_asked_at_each_scrape(telemetry: Telemetry) -> None:
    seen = iter(range(1, 100))

    def ask(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(next(seen), KIND)]

    def generator() -> Iterator[Any]:
        while True:
            yield [Observation(7)]

    meter = metrics.get_meter("shop")
    meter.create_observable_counter("visits", [ask])
    meter.create_observable_up_down_counter("waiting", [generator()])
    meter.create_observable_gauge("temperature", [lambda options: [Observation(21.5)]], "Cel")
    assert f'visits_total{{order_kind="gift",{SCOPE}}} 1.0\n' in page(telemetry)
    shown = page(telemetry)
    assert f'visits_total{{order_kind="gift",{SCOPE}}} 2.0\n' in shown
    assert f"waiting{{{SCOPE}}} 7.0\n" in shown
    assert f"temperature_celsius{{{SCOPE}}} 21.5\n" in shown


def test_an_instrument_that_is_created_before_the_application_is_instrumented_arrives(
    app: Flask, instrumented: Any
) -> None:
    counter = metrics.get_meter("early").create_counter("early.orders")
    metrics.get_meter("early").create_observable_gauge("early.age", [lambda options: [Observation(3)]])
    counter.add(1)  # nobody is there to count it
    first = instrumented(app)
    counter.add(2)
    assert 'early_orders_total{otel_scope_name="early"} 2.0\n' in page(first)
    first.shutdown()
    second = instrumented(Flask("second"))
    counter.add(3)
    shown = page(second)
    assert 'early_orders_total{otel_scope_name="early"} 3.0\n' in shown
    assert 'early_age{otel_scope_name="early"} 3.0\n' in shown


def test_a_measurement_in_a_span_has_its_exemplar(app: Flask, telemetry: Telemetry) -> None:
    counter = metrics.get_meter("shop").create_counter("orders.placed")
    sizes = metrics.get_meter("shop").create_histogram("order.size")

    @app.get("/order")
    def order() -> str:
        counter.add(1)
        sizes.record(60)
        return ""

    with capture(telemetry) as got:
        app.test_client().get("/order").get_data()
    shown = page(telemetry, openmetrics=True)
    exemplar = f'# {{span_id="{got.spans[0].context.span_id:016x}",trace_id="{got.trace_id()}"}}'
    assert f"orders_placed_total{{{SCOPE}}} 1.0 {exemplar} 1.0 " in shown
    assert f'order_size_bucket{{le="75.0",{SCOPE}}} 1.0 {exemplar} 60.0 ' in shown


def test_a_callback_that_fails_takes_nothing_else_along(telemetry: Telemetry, caplog: Any) -> None:
    def broken(options: CallbackOptions) -> Iterable[Observation]:
        raise RuntimeError("the gauge is gone")

    metrics.get_meter("shop").create_observable_gauge("broken", [broken])
    metrics.get_meter("shop").create_counter("orders.placed").add(1)
    assert f"orders_placed_total{{{SCOPE}}} 1.0\n" in page(telemetry)
    assert "A callback of the metric broken failed" in caplog.text


def test_more_label_sets_than_the_limit_are_one_series(telemetry: Telemetry, monkeypatch: Any) -> None:
    monkeypatch.setattr("observability.metrics.open_families.CARDINALITY_LIMIT", 3)
    counter = metrics.get_meter("shop").create_counter("orders.placed")
    for customer in range(5):
        counter.add(1, {"customer": customer})
    assert f'orders_placed_total{{otel_metric_overflow="true",{SCOPE}}} 2.0\n' in page(telemetry)


def test_the_prometheus_clients_own_metrics_arrive_from_its_default_registry(telemetry: Telemetry) -> None:
    counter = prometheus_client.Counter("gifts", "Gifts.", ["kind"])
    summary = prometheus_client.Summary("wrapping_seconds", "Wrapping.")
    try:
        counter.labels("toy").inc(3)
        summary.observe(0.5)
        shown = page(telemetry)
    finally:
        prometheus_client.REGISTRY.unregister(counter)
        prometheus_client.REGISTRY.unregister(summary)
    assert 'gifts_total{kind="toy"} 3.0\n' in shown
    assert "wrapping_seconds_sum 0.5\n" in shown
    assert shown.count("# TYPE process_cpu_seconds_total") == 1, "the process is told of twice"


def test_the_prometheus_clients_own_metrics_arrive_from_a_registry_that_is_named(app: Flask) -> None:
    registry = CollectorRegistry()
    prometheus_client.Gauge("shelves", "Shelves.", registry=registry).set(4)
    telemetry = instrument(app, service="shop", settings=settings(), registry=registry)
    try:
        assert "shelves 4.0\n" in page(telemetry)
    finally:
        telemetry.shutdown()


def test_a_declared_metric_of_a_services_own_is_made(telemetry: Telemetry) -> None:
    mine = schema.Metric("shop_gifts", "counter", "Gifts.", ("kind",))
    telemetry.metric(mine).labels(kind="toy").inc()
    telemetry.metric(schema.Metric("shop_gifts", "counter", "Gifts.", ("kind",))).labels(kind="toy").inc()
    assert 'shop_gifts_total{kind="toy"} 2.0\n' in page(telemetry)


# -- names that are taken ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("create", "name", "unit", "theirs"),
    [
        ("create_histogram", "http.server.request.duration", "s", "http_server_request_duration_seconds"),
        ("create_counter", "log.records", "", "log_records"),
        ("create_gauge", "log.records.total", "", "log_records"),
        ("create_observable_gauge", "dashcam.build.info", "", "dashcam_build"),
    ],
)
def test_an_instrument_with_a_name_of_the_librarys_is_refused(
    telemetry: Telemetry, create: str, name: str, unit: str, theirs: str
) -> None:
    with pytest.raises(
        NameTaken, match=rf"'{name}' of the meter 'shop' would be .* declared \w+ {theirs} \("
    ):
        getattr(metrics.get_meter("shop"), create)(name, unit=unit)


def test_two_instruments_of_different_kinds_with_one_name_are_refused(telemetry: Telemetry) -> None:
    meter = metrics.get_meter("shop")
    meter.create_counter("orders")
    meter.create_counter("orders")
    metrics.get_meter("other").create_counter("orders")  # apart by its scope
    with pytest.raises(NameTaken, match=r"the gauge 'orders' .* which is the counter 'orders' of the meter"):
        meter.create_gauge("orders")


def test_an_instrument_from_before_with_a_name_that_is_taken_is_refused_by_instrument() -> None:
    provider = CurrentMeterProvider()
    _held = provider.get_meter("early").create_counter("log.records")
    with pytest.raises(NameTaken, match="log_records"):
        provider.point_at(OpenMeterProvider(Families()))


def test_a_metric_of_the_prometheus_client_with_a_name_of_the_librarys_is_refused(app: Flask) -> None:
    registry = CollectorRegistry()
    prometheus_client.Counter("log_records", "Mine.", registry=registry)
    with pytest.raises(
        NameTaken, match=r"log_records of your prometheus_client registry .* counter log_records"
    ):
        instrument(app, service="shop", settings=settings(), registry=registry)
    assert "observability" not in app.extensions


def test_one_that_comes_later_is_left_out_and_said(app: Flask, caplog: Any) -> None:
    registry = CollectorRegistry()
    telemetry = instrument(app, service="shop", settings=settings(), registry=registry)
    try:
        prometheus_client.Counter("dashcam_build_info", "Mine.", registry=registry)
        metrics_page = OwnMetrics(*telemetry.families.registries)
        shown = [render(metrics_page.snapshot(), False).decode() for _ in range(2)]
        assert [text.count("# TYPE dashcam_build_info") for text in shown] == [1, 1]
        assert caplog.text.count("Two metrics have the name dashcam_build_info") == 1
    finally:
        telemetry.shutdown()


def test_an_official_instrumentation_shares_the_librarys_family(telemetry: Telemetry) -> None:
    official = metrics.get_meter("opentelemetry.instrumentation.requests")
    duration = official.create_histogram("http.client.request.duration", "s")
    duration.record(0.1, {"http.request.method": "GET", "server.address": "price"})
    assert (
        telemetry.families.registry.get_sample_value(
            "http_client_request_duration_seconds_count",
            {
                "http_request_method": "GET",
                "server_address": "price",
                **dict.fromkeys(("server_port", "http_response_status_code", "error_type"), ""),
            },
        )
        == 1
    )


# -- the specification's mapping --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("orders.placed", "{order}", "counter", "orders_placed"),
        ("orders_total", "", "counter", "orders"),
        ("disk.io", "By", "counter", "disk_io_bytes"),
        ("speed", "m/s", "gauge", "speed_meters_per_second"),
        ("transfer", "KiBy/min", "gauge", "transfer_kibibytes_per_minute"),
        ("cpu.utilization", "1", "gauge", "cpu_utilization_ratio"),
        ("things", "1", "counter", "things"),
        ("fill", "%", "gauge", "fill_percent"),
        ("latency_seconds", "s", "histogram", "latency_seconds"),
        ("a..b--c", "", "gauge", "a_b_c"),
        ("2xx", "", "counter", "_2xx"),
        ("packets", "{packet}/s", "gauge", "packets_per_second"),
        ("odd", "widgets", "gauge", "odd_widgets"),
    ],
)
def test_a_name_is_mapped_as_the_specification_says(name: str, unit: str, kind: str, expected: str) -> None:
    assert prometheus_name(name, unit, kind) == expected


def test_attributes_are_mapped_as_the_specification_says() -> None:
    found = labels({"a.b": "1", "a_b": "2", "9": True, "list": ("x", 1), "number": 1.5})
    assert found == {"a_b": "1;2", "key_9": "true", "list": '["x", 1]', "number": "1.5"}
