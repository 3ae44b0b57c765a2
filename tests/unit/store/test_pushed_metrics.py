"""Metrics that are pushed over OTLP are samples as the OpenTelemetry-to-Prometheus specification has them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from backendkit import pairs
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dashcam.store.metrics_page import page
from dashcam.store.prometheus_names import label_name, labels_of, metric_name
from dashcam.store.pushed_metrics import PushedMetrics, Refusals

DELTA, CUMULATIVE = 1, 2
SECOND = 1_000_000_000
TRACE, SPAN = bytes(range(1, 17)), bytes(range(1, 9))


class Pushed:
    """A store with a clock of its own, and what a scrape of it gives."""

    def __init__(self, **options: Any) -> None:
        self.now = 1000.0
        self.store = PushedMetrics(
            **{"max_series": 1000, "expire_seconds": 300.0, "clock": lambda: self.now, **options}
        )

    def push(self, *metrics: Metric, scope: str = "", **resource: str) -> Refusals:
        request = ExportMetricsServiceRequest()
        sent = request.resource_metrics.add()
        named = {"service__name": "orders", "service__instance__id": "i1", **resource}
        given = {key.replace("__", "."): value for key, value in named.items() if value}
        sent.resource.attributes.extend(pairs(given))
        scoped = sent.scope_metrics.add()
        scoped.scope.name = scope
        scoped.metrics.extend(metrics)
        return self.store.take(request)

    def text(self) -> str:
        """The page as it is from the second scrape on."""
        self.scrape()
        return self.scrape()

    def scrape(self) -> str:
        return page(self.store.families(), openmetrics=True).decode()

    def families(self) -> dict[str, Any]:
        """The page as the strict parser of the format reads it."""
        return {family.name: family for family in text_string_to_metric_families(self.text())}

    def samples(self, name: str) -> dict[tuple, float]:
        """By labels other than who sends."""
        return {
            tuple(
                sorted(item for item in one.labels.items() if item[0] not in ("job", "instance"))
            ): one.value
            for family in self.families().values()
            for one in family.samples
            if one.name == name
        }

    def value(self, name: str) -> float:
        (value,) = self.samples(name).values()
        return value


@pytest.fixture
def pushed() -> Pushed:
    return Pushed()


def counter(
    value: float, *, start: float = 1, at: float = 10, temporality: int = CUMULATIVE, **options: Any
) -> Metric:
    metric = Metric(name=options.get("name", "orders.placed"), unit=options.get("unit", ""))
    metric.sum.is_monotonic = options.get("monotonic", True)
    metric.sum.aggregation_temporality = temporality
    point = metric.sum.data_points.add(as_double=value)
    point.start_time_unix_nano, point.time_unix_nano = int(start * SECOND), int(at * SECOND)
    point.attributes.extend(pairs(options.get("attributes", {})))
    return metric


def gauge(
    value: float, *, at: float = 10, name: str = "queue.length", unit: str = "", **attributes: Any
) -> Metric:
    metric = Metric(name=name, unit=unit)
    point = metric.gauge.data_points.add(as_double=value, time_unix_nano=int(at * SECOND))
    point.attributes.extend(pairs(attributes))
    return metric


def histogram(
    counts: list[int],
    *,
    name: str = "wait",
    unit: str = "s",
    start: float = 1,
    at: float = 10,
    temporality: int = CUMULATIVE,
    bounds: tuple = (0.1, 1.0),
    **attributes: Any,
) -> Metric:
    metric = Metric(name=name, unit=unit, description="How long\none waits.")
    metric.histogram.aggregation_temporality = temporality
    point = metric.histogram.data_points.add(count=sum(counts), sum=sum(counts) * 0.5, bucket_counts=counts)
    point.explicit_bounds.extend(bounds)
    point.start_time_unix_nano, point.time_unix_nano = int(start * SECOND), int(at * SECOND)
    point.attributes.extend(pairs(attributes))
    return metric


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unit", "kind", "written"),
    [
        ("http.server.request.duration", "s", "histogram", "http_server_request_duration_seconds"),
        ("http.server.active_requests", "{request}", "gauge", "http_server_active_requests"),
        ("orders.placed", "{order}", "counter", "orders_placed_total"),
        ("orders_total", "", "counter", "orders_total"),
        ("io", "By", "counter", "io_bytes_total"),
        ("io.bytes", "By", "counter", "io_bytes_total"),
        ("speed", "By/s", "gauge", "speed_bytes_per_second"),
        ("rate", "{request}/s", "gauge", "rate_per_second"),
        ("used", "1", "gauge", "used_ratio"),
        ("used", "1", "counter", "used_total"),
        ("load", "%", "gauge", "load_percent"),
        ("2fast--x", "", "gauge", "_2fast_x"),
        ("odd", "foo", "gauge", "odd_foo"),
    ],
)  # fmt: skip
def test_a_name_is_written_with_its_unit_and_type(name, unit, kind, written):
    assert metric_name(name, unit, kind) == written


def test_attributes_are_labels_and_none_of_prometheus_own():
    assert labels_of([("a.b", "2"), ("a-b", "1"), ("c", "3")]) == {"a_b": "1;2", "c": "3"}
    assert [label_name(key) for key in ("le", "1a", "__name__", "")] == [
        "key_le",
        "key_1a",
        "key___name__",
        "key_",
    ]


# -- the kinds ----------------------------------------------------------------------------------


def test_a_gauge_is_its_last_value(pushed):
    pushed.push(gauge(3, at=10), gauge(2, at=11, name="heat", unit="Cel"))
    pushed.push(gauge(5, at=12), gauge(9, at=9, name="heat", unit="Cel"))  # the second is late
    assert pushed.value("queue_length") == 5
    assert pushed.value("heat_celsius") == 2
    assert {name: family.type for name, family in pushed.families().items()} == {
        "queue_length": "gauge",
        "heat_celsius": "gauge",
    }


def test_who_sends_is_job_and_instance_and_what_else_is_known_is_target_info(pushed):
    pushed.push(gauge(1), scope="my.lib", service__namespace="shop", service__version="1.2", host__name="h")
    (sample,) = pushed.families()["queue_length"].samples
    assert sample.labels == {"job": "shop/orders", "instance": "i1", "otel_scope_name": "my.lib"}
    (info,) = pushed.families()["target"].samples
    assert info.name == "target_info"
    assert info.labels == {
        "job": "shop/orders", "instance": "i1", "service_version": "1.2", "host_name": "h",
        "service_namespace": "shop", "service_name": "orders", "service_instance_id": "i1",
    }  # fmt: skip
    pushed.push(gauge(1), service__namespace="shop", service__version="1.3")
    assert [one.labels["service_version"] for one in pushed.families()["target"].samples] == ["1.3"]


def test_a_promoted_resource_attribute_is_a_label():
    pushed = Pushed(promoted=("service.version",))
    pushed.push(gauge(1), service__version="1.2")
    assert pushed.families()["queue_length"].samples[0].labels["service_version"] == "1.2"


def test_a_sum_that_can_fall_is_a_gauge(pushed):
    pushed.push(counter(5, monotonic=False))
    pushed.push(counter(3, monotonic=False, at=11))
    assert pushed.families()["orders_placed"].type == "gauge"
    assert pushed.value("orders_placed") == 3


def test_a_histogram_has_buckets_a_sum_a_count_and_its_help(pushed):
    pushed.push(histogram([3, 2, 1], route="/a"))
    family = pushed.families()["wait_seconds"]
    assert (family.type, family.unit, family.documentation) == (
        "histogram",
        "seconds",
        "How long\none waits.",
    )
    label = ("route", "/a")
    assert pushed.samples("wait_seconds_bucket") == {
        (("le", "0.1"), label): 3,
        (("le", "1.0"), label): 5,
        (("le", "+Inf"), label): 6,
    }
    assert pushed.samples("wait_seconds_count") == {(label,): 6}
    assert pushed.samples("wait_seconds_sum") == {(label,): 3}


def test_a_histogram_of_other_bounds_begins_anew(pushed):
    pushed.push(histogram([3, 2, 1]))
    pushed.push(histogram([1, 1], bounds=(2.0,), at=11))
    assert pushed.samples("wait_seconds_bucket") == {(("le", "2.0"),): 1, (("le", "+Inf"),): 2}


@pytest.mark.parametrize("scale", [0, 1, 2, 3, 6, -1])
def test_an_exponential_histogram_keeps_every_value_within_its_bounds(pushed, scale):
    """Each value is at or below the first bound whose bucket counts it, and above the one before."""
    observed = [0.0, 0.001, 0.3, 0.5, 1.0, 1.5, 700.0]
    metric = Metric(name="wait", unit="s")
    metric.exponential_histogram.aggregation_temporality = CUMULATIVE
    point = metric.exponential_histogram.data_points.add(
        count=len(observed), sum=sum(observed), scale=scale, zero_count=1, time_unix_nano=10 * SECOND
    )
    indices = [math.ceil(round(math.log2(value) * 2**scale, 9)) - 1 for value in observed[1:]]
    point.positive.offset = min(indices)
    counts = [0] * (max(indices) - min(indices) + 1)
    for index in indices:
        counts[index - min(indices)] += 1
    point.positive.bucket_counts.extend(counts)
    pushed.push(metric)

    assert pushed.value("wait_seconds_count") == len(observed)
    assert pushed.value("wait_seconds_sum") == pytest.approx(sum(observed))
    buckets = sorted(
        (float(dict(key)["le"]), count) for key, count in pushed.samples("wait_seconds_bucket").items()
    )
    width = 2 ** (2 ** -min(scale, 2))
    for bound, count in buckets:
        assert sum(value <= bound for value in observed) >= count
        assert sum(value * width <= bound for value in observed) <= count
    assert buckets[0] == (0.0, 1)
    assert buckets[-1] == (math.inf, len(observed))


def test_a_summary_has_its_quantiles(pushed):
    metric = Metric(name="wait", unit="s")
    point = metric.summary.data_points.add(count=4, sum=2.0, time_unix_nano=SECOND)
    point.quantile_values.add(quantile=0.5, value=0.4)
    point.quantile_values.add(quantile=0.99, value=0.9)
    pushed.push(metric)
    assert pushed.samples("wait_seconds") == {(("quantile", "0.5"),): 0.4, (("quantile", "0.99"),): 0.9}
    assert (pushed.value("wait_seconds_count"), pushed.value("wait_seconds_sum")) == (4, 2.0)


def test_exemplars_lead_to_the_trace(pushed):
    metric = histogram([0, 1, 0])
    point = metric.histogram.data_points[0]
    point.exemplars.add(as_double=0.7, time_unix_nano=10 * SECOND, trace_id=TRACE, span_id=SPAN)
    point.exemplars.add(as_double=0.2, time_unix_nano=9 * SECOND)  # of no trace
    total = counter(1)
    total.sum.data_points[0].exemplars.add(as_int=1, time_unix_nano=10 * SECOND, trace_id=TRACE)
    pushed.push(metric, total)
    found = {
        one.labels.get("le", one.name): one.exemplar
        for family in pushed.families().values()
        for one in family.samples
        if one.exemplar
    }
    assert found["1.0"].labels == {"trace_id": TRACE.hex(), "span_id": SPAN.hex()}
    assert (found["1.0"].value, float(found["1.0"].timestamp)) == (0.7, 10.0)
    assert found["orders_placed_total"].labels == {"trace_id": TRACE.hex()}
    assert len(found) == 2


# -- time ---------------------------------------------------------------------------------------


def test_a_restart_is_no_fall_and_a_late_point_from_before_it_changes_nothing(pushed):
    pushed.push(counter(7, start=1, at=10))
    pushed.push(counter(2, start=11, at=20))
    assert pushed.value("orders_placed_total") == 9
    pushed.push(counter(5, start=1, at=9))
    assert pushed.value("orders_placed_total") == 9
    pushed.push(counter(1, start=11, at=30))  # began anew without a new start time
    assert pushed.value("orders_placed_total") == 10


def test_workers_of_one_identity_are_added_up_in_any_order_of_their_exports(pushed):
    pushed.push(counter(7, start=1, at=10))
    pushed.push(counter(1, start=12, at=13))  # a worker that began after the last export of the first
    pushed.push(counter(8, start=1, at=15))
    pushed.push(counter(2, start=12, at=18))
    assert pushed.value("orders_placed_total") == 10


def test_a_counter_that_has_just_begun_begins_at_zero_so_that_its_first_requests_are_in_a_rate(pushed):
    pushed.push(counter(7, start=1, at=10), gauge(7), histogram([1, 0, 0], start=1, at=10))
    first = pushed.scrape()
    assert 'orders_placed_total{instance="i1",job="orders"} 0.0' in first
    assert 'wait_seconds_count{instance="i1",job="orders"} 0.0' in first
    assert 'queue_length{instance="i1",job="orders"} 7.0' in first
    assert 'orders_placed_total{instance="i1",job="orders"} 7.0' in pushed.scrape()
    pushed.push(counter(9, start=1, at=3600, name="long.known"))  # the receiver is what has just begun
    assert 'long_known_total{instance="i1",job="orders"} 9.0' in pushed.scrape()


def test_what_can_fall_leaves_a_process_out_that_ended_before_another_began(pushed):
    pushed.push(counter(7, start=1, at=10, monotonic=False))
    pushed.push(counter(2, start=11, at=20, monotonic=False))
    assert pushed.value("orders_placed") == 2
    pushed.push(counter(3, start=1, at=21, monotonic=False))  # it had not ended
    assert pushed.value("orders_placed") == 5


def test_deltas_are_added_up_late_ones_too_and_none_twice(pushed):
    pushed.push(counter(2, start=10, at=15, temporality=DELTA))
    pushed.push(counter(3, start=15, at=20, temporality=DELTA))
    pushed.push(counter(3, start=15, at=20, temporality=DELTA))  # sent again
    pushed.push(counter(1, start=5, at=10, temporality=DELTA))  # late
    assert pushed.value("orders_placed_total") == 6
    pushed.push(histogram([1, 0, 0], start=1, at=2, temporality=DELTA))
    pushed.push(histogram([0, 1, 1], start=2, at=3, temporality=DELTA))
    assert pushed.value("wait_seconds_count") == 3


def test_a_series_ends_when_its_sender_says_so_and_when_it_does_not_come_any_more(pushed):
    pushed.push(gauge(1, route="/a"), gauge(1, route="/b"))
    ended = gauge(0, route="/a")
    ended.gauge.data_points[0].flags = 1  # no recorded value
    pushed.push(ended)
    assert pushed.samples("queue_length") == {(("route", "/b"),): 1}
    pushed.now += 301
    assert pushed.text() == "# EOF\n"
    assert pushed.store.held == 0


# -- bounds and refusals ------------------------------------------------------------------------


def test_new_series_beyond_the_bound_are_refused_and_known_ones_go_on():
    pushed = Pushed(max_series=5)
    for number in range(5):
        assert not pushed.push(gauge(1, n=number)).points
    refused = pushed.push(gauge(1, n=5), gauge(2, n=0, at=11))
    assert refused.points == 1
    assert "OTLP_METRICS_MAX_SERIES" in refused.text
    assert "queue_length" in refused.text
    assert len(pushed.samples("queue_length")) == 5
    assert pushed.samples("queue_length")[(("n", "0"),)] == 2


def test_a_known_series_that_grows_by_more_buckets_counts_for_them():
    pushed = Pushed(max_series=10)
    assert not pushed.push(histogram([1, 1, 1])).points
    assert not pushed.push(histogram([1, 1, 1, 1], bounds=(0.1, 1.0, 2.0), at=11)).points
    wide = histogram([1] * 41, bounds=tuple(range(1, 41)), at=12)
    assert "OTLP_METRICS_MAX_SERIES" in pushed.push(wide).text
    assert len(pushed.samples("wait_seconds_bucket")) == 4


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (gauge(1, name=""), "no usable name"),
        (counter(1, temporality=0), "aggregation temporality"),
        (histogram([1, 2], bounds=(1.0, 2.0)), "2 buckets for 2 bounds"),
        (histogram([1, 2, 3], bounds=(2.0, 1.0)), "do not rise"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_sample_is_refused_with_the_reason(pushed, metric, reason):
    refused = pushed.push(metric)
    assert refused.points == 1
    assert reason in refused.text
    assert pushed.text() == "# EOF\n"


def test_one_name_has_one_kind(pushed):
    pushed.push(gauge(1, name="x"))
    assert "is not a histogram elsewhere" in pushed.push(histogram([1, 1, 1], name="x", unit="")).text


def test_no_attribute_can_break_the_page(pushed):
    pushed.push(
        gauge(float("nan"), **{"le": "x", "__name__": "y", "job": "z", "a\nb": 'q"\\\n', "é": "ü", "": "e"})
    )
    (sample,) = pushed.families()["queue_length"].samples
    assert sample.labels["job"] == "orders"
    assert sample.labels["a_b"] == 'q"\\\n'


# -- old conventions ----------------------------------------------------------------------------


def test_http_by_the_old_conventions_has_the_stable_names_unit_and_attributes(pushed):
    old = histogram(
        [3, 2, 1],
        name="http.server.duration",
        unit="ms",
        bounds=(5.0, 250.0),
        **{"http.method": "GET", "http.status_code": 500, "http.route": "/a"},
    )
    pushed.push(old)
    label = (("http_request_method", "GET"), ("http_response_status_code", "500"), ("http_route", "/a"))
    assert pushed.samples("http_server_request_duration_seconds_bucket") == {
        (*label, ("le", "0.005")): 3,
        (*label, ("le", "0.25")): 5,
        (*label, ("le", "+Inf")): 6,
    }
    assert pushed.samples("http_server_request_duration_seconds_sum") == {label: pytest.approx(0.003)}


def test_old_conventions_stay_where_they_are_not_to_be_translated():
    pushed = Pushed(translate=False)
    pushed.push(histogram([1, 0, 0], name="http.server.duration", unit="ms", **{"http.method": "GET"}))
    assert pushed.samples("http_server_duration_milliseconds_count") == {(("http_method", "GET"),): 1}
