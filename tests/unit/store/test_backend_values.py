"""Attribute values read as the Collector's AsString writes them, and are shown as Jaeger shows them."""

from __future__ import annotations

import pytest
from backendkit import pairs, value

from dashcam.store import values
from dashcam.store.tokens import candidates, seed, token


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (5, "5"),
        (-(2**63), "-9223372036854775808"),
        (1.5, "1.5"),
        (5.0, "5"),
        (-0.0, "-0"),
        (100000.0, "100000"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (0.00001234, "0.00001234"),
        (1e-9, "1e-9"),
        (-2.5e-7, "-2.5e-7"),
        (float("nan"), "json: unsupported value: NaN"),
        (float("-inf"), "json: unsupported value: -Inf"),
        (b"\x00\xff", "AP8="),
        (["a", 1, 2.5, True, None], '["a",1,2.5,true,null]'),
        ({"k": "<v>&", "a": [1, 2], "by": b"zz"}, '{"a":[1,2],"by":"eno=","k":"\\u003cv\\u003e\\u0026"}'),
        ([2.0, 1e-7, 1e-6, -0.0, 1e20, 1e21], "[2,1e-7,0.000001,-0,100000000000000000000,1e+21]"),
        ([b"", {"e": b""}, [], {}], '[null,{"e":null},[],{}]'),
    ],
)
def test_a_value_reads_as_jaeger_compares_it(data, text):
    assert values.text(value(data)) == text


@pytest.mark.parametrize(
    ("data", "kind", "shown"),
    [
        ("text", "string", "text"),
        (True, "bool", True),
        (2**53 - 1, "int64", 2**53 - 1),
        (2**53, "int64", "9007199254740992"),
        (-(2**60), "int64", "-1152921504606846976"),
        (0.5, "float64", 0.5),
        (b"\x00\xff", "binary", "AP8="),
        (b"", "binary", None),
        (["a"], "string", '["a"]'),
        ({"b": 1}, "string", '{"b":1}'),
        (None, "string", ""),
    ],
)
def test_a_tag_has_jaegers_type_and_value(data, kind, shown):
    assert values.tag("k", value(data)) == {"key": "k", "type": kind, "value": shown}


@pytest.mark.parametrize(
    "data",
    ["text", "", None, True, 0, -7, 2**62, 0.5, 5.0, 1e21, 1e-9, b"\x00\xff", b""],
)
def test_the_text_of_any_value_leads_to_its_token(data):
    encoded = pairs({"key": data})[0].SerializeToString()
    assert token(encoded, seed("car")) in candidates("key", values.text(value(data)), "car")


def test_a_token_is_of_one_service():
    assert not set(candidates("key", "x", "car")) & set(candidates("key", "x", "web"))
