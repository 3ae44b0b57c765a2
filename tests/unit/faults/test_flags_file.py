"""Flags in flagd's format: what a file may say, what it chooses, and how changes of it are noticed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from services.faults.flagd import LOOK_SECONDS, BadFlags, FlagFile, evaluate, parse

VARIANTS = {"on": {"delay": 1}, "off": {}}


def flag(**changes: Any) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": "on", **changes}


def text(**changes: Any) -> str:
    return json.dumps({"flags": {"slow": flag(**changes)}})


def asked(path: Path, **attributes: Any) -> Any:
    provider = FlagFile(path)
    api.set_provider_and_wait(provider, str(path))
    return api.get_client(str(path)).get_object_details("slow", {}, EvaluationContext(attributes=attributes))


@pytest.mark.parametrize(
    ("rule", "attributes", "value"),
    [
        ({"if": [{"==": [{"var": "maker"}, "bentz"]}, "on", "off"]}, {"maker": "bentz"}, "on"),
        ({"if": [{"==": [{"var": "maker"}, "bentz"]}, "on", "off"]}, {"maker": "volts"}, "off"),
        ({"if": [{"==": [{"var": "maker"}, "bentz"]}, "on"]}, {}, None),
        ({">=": [{"var": "y"}, 1000]}, {"y": "1000"}, True),
        ({">=": [{"var": "y"}, 1000]}, {"y": "many"}, False),
        ({"<": [1, {"var": "y"}, 3]}, {"y": 2}, True),
        ({"and": [True, {"in": ["a", ["a", "b"]]}]}, {}, True),
        ({"or": [False, {"starts_with": [{"var": "route"}, "/cars"]}]}, {"route": "/cars/x"}, True),
        ({"!": [{"var": "absent"}]}, {}, True),
        ({"var": ["absent", "this"]}, {}, "this"),
    ],
)
def test_targeting_follows_jsonlogic(rule: Any, attributes: dict[str, Any], value: Any) -> None:
    assert evaluate(rule, attributes) == value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not a file of flags"),
        ("[]", "not a file of flags"),
        (text(state="on"), "ENABLED or DISABLED"),
        (text(variants={}), "has no variants"),
        (text(defaultVariant="fast"), "'fast'"),
        (text(targeting={"fractional": ["on", 50]}), "'fractional', which is not supported: use var"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_is_wrong_with_it(content: str, told: str) -> None:
    with pytest.raises(BadFlags, match=told):
        parse(content)


def test_an_enabled_flag_gives_its_default_variant(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(text())
    found = asked(path)
    assert (found.value, found.variant, found.reason) == ({"delay": 1}, "on", "STATIC")


def test_a_disabled_flag_gives_the_callers_default(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(text(state="DISABLED"))
    assert (asked(path).value, asked(path).reason) == ({}, "DISABLED")


def test_targeting_beats_the_default_variant(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(text(defaultVariant="off", targeting={"if": [{"==": [{"var": "maker"}, "bentz"]}, "on"]}))
    assert asked(path, maker="bentz").value == {"delay": 1}
    assert asked(path, maker="volts").value == {}


def test_a_variant_of_another_type_is_an_error_and_not_the_value(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(text(variants={"on": "text", "off": ""}))
    assert asked(path).error_code == "TYPE_MISMATCH"


def test_a_change_of_the_file_is_noticed_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    now = [0.0]
    provider = FlagFile(path, clock=lambda: now[0])

    def later(content: str | None) -> set[str]:
        if content is not None:
            path.write_text(content)
            os.utime(path, ns=(0, int((now[0] + 1) * 1e9)))
        now[0] += LOOK_SECONDS
        return {key for key, one in provider.flags().items() if one.enabled}

    assert later(None) == set()
    assert later(text()) == {"slow"}
    assert later("{") == {"slow"}
    assert later(text(state="DISABLED")) == set()
    path.unlink()
    assert later(None) == set()
    assert provider.flags() == {}
