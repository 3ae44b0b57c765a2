"""Flags in flagd's format: what a file may say, what it chooses, and how changes of it are noticed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext

from services.faults.flagd import LOOK_SECONDS, FlagFile

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
        ({"if": [{"==": [{"var": "maker"}, "bentz"]}, "on", "off"]}, {"maker": "volts"}, "off"),
        ({"if": [{">=": [{"var": "y"}, 1000]}, "off"]}, {"y": "1000"}, "off"),
        ({"if": [{">=": [{"var": "y"}, 1000]}, "off"]}, {"y": "many"}, "on"),
        ({"if": [{"starts_with": [{"var": "route"}]}, "off"]}, {"route": "/cars"}, "on"),
    ],
)
def test_targeting_chooses_the_variant_or_leaves_it_at_the_default(
    rule: Any, attributes: dict[str, Any], value: str, tmp_path: Path
) -> None:
    path = tmp_path / "flags.json"
    path.write_text(text(targeting=rule))
    assert asked(path, **attributes).variant == value


@pytest.mark.parametrize("content", ["{", "[]", '{"flags": 3}'])
def test_a_file_that_is_not_one_of_flags_says_so(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "flags.json"
    path.write_text(content)
    assert FlagFile(path).flags() == {}
    assert "not a file of flags" in caplog.text


@pytest.mark.parametrize(
    "content",
    ['{"flags": {}, "metadata": 3}', '{"flags": {}, "$evaluators": 3}', "[" * 100_000],
    ids=["metadata", "evaluators", "deep"],
)
def test_a_file_that_the_evaluator_stumbles_over_is_no_error_of_a_request(
    content: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "flags.json"
    path.write_text(content)
    assert FlagFile(path).flags() == {}
    assert "stay as they were" in caplog.text


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"state": "on"}, "state"),
        ({"variants": {}}, "variants"),
        ({"metadata": {"point": ["a"]}}, "point"),
        ({"fraction": 3}, "fraction"),
    ],
)
def test_a_flag_that_cannot_be_used_is_left_out_and_the_others_go_on(
    broken: dict[str, Any], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps({"flags": {"broken": flag(**broken), "slow": flag()}}))
    assert asked(path).variant == "on"
    assert "the flag broken is left out" in caplog.text
    assert told in caplog.text


def test_a_flag_with_an_unknown_operation_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    strange = flag(targeting={"guess": [1]})
    path.write_text(json.dumps({"flags": {"strange": strange, "slow": flag()}}))
    assert asked(path).variant == "on"
    found = api.get_client(str(path)).get_object_details("strange", {})
    assert (found.value, found.error_code) == ({}, "PARSE_ERROR")


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
        return {key for key, one in provider.flags().items() if one.state == "ENABLED"}

    assert later(None) == set()
    assert later(text()) == {"slow"}
    assert later("{") == {"slow"}
    assert later(text(state="DISABLED")) == set()
    path.unlink()
    assert later(None) == set()
    assert provider.flags() == {}
