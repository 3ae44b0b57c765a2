"""Settings: where a value comes from, and what a bad one is answered with."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import pytest

from observability.configuration import TelemetrySettings
from observability.settings import SettingError, between, from_environ, one_of, setting


@dataclass(frozen=True)
class Example:
    name: str = setting("EXAMPLE_NAME", "nobody", help="Who.")
    count: int = setting("EXAMPLE_COUNT", 3, check=between(1, 9), help="How many.")
    share: float | None = setting("EXAMPLE_SHARE", None, help="Which part.")
    loud: bool = setting("EXAMPLE_LOUD", False, help="Whether.")
    kind: str = setting("EXAMPLE_KIND", "a", check=one_of("a", "b"), help="Which.")
    token: str = setting("EXAMPLE_TOKEN", "hush", secret=True, check=one_of("hush"), help="The secret.")


@dataclass(frozen=True)
class Needed:
    url: str = setting("EXAMPLE_URL", help="Where it is.")


def test_a_default_holds_where_nothing_is_given() -> None:
    assert from_environ(Example, {}) == Example("nobody", 3, None, False, "a", "hush")


def test_the_environment_beats_the_default() -> None:
    environ = {"EXAMPLE_NAME": "ada", "EXAMPLE_COUNT": "4", "EXAMPLE_SHARE": "0.5", "EXAMPLE_LOUD": "Yes"}
    assert from_environ(Example, environ) == Example("ada", 4, 0.5, True, "a", "hush")


def test_an_explicit_argument_beats_the_environment() -> None:
    assert from_environ(Example, {"EXAMPLE_COUNT": "4"}, count=5).count == 5


def test_an_empty_variable_counts_as_unset() -> None:
    assert from_environ(Example, {"EXAMPLE_COUNT": ""}).count == 3


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"EXAMPLE_COUNT": "many"}, "EXAMPLE_COUNT='many' cannot be used: give a whole number"),
        ({"EXAMPLE_COUNT": "10"}, "EXAMPLE_COUNT='10' cannot be used: give a number from 1 to 9"),
        ({"EXAMPLE_SHARE": "half"}, "EXAMPLE_SHARE='half' cannot be used: give a number"),
        ({"EXAMPLE_LOUD": "maybe"}, "EXAMPLE_LOUD='maybe' cannot be used: give true or false"),
        ({"EXAMPLE_KIND": "c"}, "EXAMPLE_KIND='c' cannot be used: give one of a, b"),
    ],
)
def test_an_error_names_the_variable_the_value_and_the_remedy(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        from_environ(Example, environ)
    assert str(caught.value) == message


def test_an_argument_is_checked_like_the_environment() -> None:
    with pytest.raises(SettingError, match="EXAMPLE_COUNT=10 cannot be used"):
        from_environ(Example, {}, count=10)


def test_a_missing_value_without_a_default_is_named_with_its_meaning() -> None:
    with pytest.raises(SettingError, match="EXAMPLE_URL is not set: Where it is"):
        from_environ(Needed, {})


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(SettingError, match="Example has no setting named colour"):
        from_environ(Example, {}, colour="red")


def test_a_secret_appears_in_no_message_and_no_repr() -> None:
    with pytest.raises(SettingError) as caught:
        from_environ(Example, {"EXAMPLE_TOKEN": "s3cret"})
    assert "s3cret" not in str(caught.value)
    assert "hush" not in repr(Example())


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Example().name = "eve"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("OTEL_TRACES_SAMPLER", "sometimes", "give one of always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "give a number from 0.0 to 1.0"),
        ("OTEL_PROPAGATORS", "tracecontext,jaeger", "'jaeger' is unknown"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "give a URL such as"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "give key=value pairs"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "give a number from 1"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "http", "give a port from 1 to 65535"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000", "give a number from 0 to 65535"),
        ("LOG_LEVEL", "chatty", "give one of DEBUG"),
        ("LOG_FORMAT", "xml", "give one of auto, json, console"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "give one of otlp, none"),
    ],
)
def test_a_bad_telemetry_setting_is_named_with_its_remedy(variable: str, value: str, remedy: str) -> None:
    with pytest.raises(SettingError) as caught:
        from_environ(TelemetrySettings, {variable: value})
    assert str(caught.value).startswith(f"{variable}=")
    assert value in str(caught.value)
    assert remedy in str(caught.value)


def test_telemetry_settings_understand_what_the_specification_allows() -> None:
    got = from_environ(
        TelemetrySettings,
        {
            "OTEL_RESOURCE_ATTRIBUTES": "team=a%20b, zone = x",
            "OTEL_PROPAGATORS": "b3, tracecontext,b3",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/base/",
            "LOG_LEVEL": "warn",
            "OTEL_EXPORTER_PROMETHEUS_PORT": "none",
        },
    )
    assert got.resource_attributes == (("team", "a b"), ("zone", "x"))
    assert got.propagators == ("b3", "tracecontext")
    assert got.spans_url == "http://collector:4318/base/v1/traces"
    assert got.log_level == "WARNING"
    assert got.admin_port is None


def test_the_traces_endpoint_is_used_as_it_is() -> None:
    got = from_environ(TelemetrySettings, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1/spans"})
    assert got.spans_url == "http://c:1/spans"


def test_export_headers_stay_out_of_the_repr() -> None:
    got = from_environ(TelemetrySettings, {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc"})
    assert got.headers == (("authorization", "Bearer abc"),)
    assert "abc" not in repr(got)
