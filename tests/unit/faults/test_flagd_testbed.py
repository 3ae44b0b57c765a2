"""flagd's own testbed against the file of flags: every example of what the flags of a file can say."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gherkin.parser import Parser
from gherkin.pickles.compiler import Compiler
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails

from services.faults.flagd import FlagFile

TESTBED = Path(__file__).parents[2] / "flagd_testbed"

REPLACED = {"@fractional-v1", "@fractional-v2", "@deprecated"}
"""What flagd did before, and an evaluator does in one of the ways: ours as flagd does now."""

TYPES: dict[str, Any] = {
    "String": str,
    "Integer": int,
    "Float": float,
    "Boolean": lambda text: {"true": True, "false": False}[text.lower()],
    "Object": lambda text: json.loads(text.replace('\\"', '"')),
}
_FLAG = r'an? (\w+)-flag with key "(.*)" and a (?:default|fallback) value "(.*)"'
_ATTRIBUTE = r'a context containing a key "(.*)", with type "(\w+)" and with value "(.*)"'
_NESTED = r'a context containing a nested property .* key "(.*)" and .* key "(.*)", with value "(.*)"'


def examples() -> Iterator[Any]:
    """Each example: its suite's flags and its steps, of both suites, without what flagd did before."""
    for suite in (*TESTBED.glob("evaluator/gherkin/*.feature"), *TESTBED.glob("gherkin/*.feature")):
        document = Parser().parse(suite.read_text(encoding="utf-8"))
        for number, example in enumerate(Compiler().compile({"uri": suite.name, **document})):
            if REPLACED.isdisjoint(tag["name"] for tag in example["tags"]):
                flags = "evaluator/flags" if suite.parts[-3] == "evaluator" else "flags"
                name = f"{flags.partition('/')[0]}-{suite.stem}-{number}"
                yield pytest.param(flags, example["steps"], id=name)


Clients = Callable[[tuple[Path, ...]], OpenFeatureClient]
"""Gives a client of the flags in these files together."""


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    @functools.cache
    def client(sources: tuple[Path, ...]) -> OpenFeatureClient:
        document: dict[str, Any] = {"flags": {}, "$evaluators": {}, "metadata": {}}
        for source in sources:
            given = json.loads(source.read_text(encoding="utf-8"))
            for part, values in document.items():
                values.update(given.get(part, {}))
        file = tmp_path_factory.mktemp("testbed") / "flags.json"
        file.write_text(json.dumps(document))
        api.set_provider_and_wait(FlagFile(file), str(file))
        return api.get_client(str(file))

    return client


class World:
    """One example: what it is given, and what it found."""

    def __init__(self, flags: Path, clients: Clients) -> None:
        self._flags = tuple(path for path in sorted(flags.glob("*.json")) if "selector" not in path.name)
        self._clients = clients
        self._attributes: dict[str, Any] = {}
        self._targeting_key: str | None = None
        self._kind = self._flag = ""
        self._default: Any = None
        self._found: FlagEvaluationDetails[Any] | None = None

    def take(self, text: str, table: list[list[str]]) -> None:
        """Take one step of the example, which may be to compare what was found. Raises AssertionError."""
        if text == "the flag was evaluated with details":
            self._found = self._evaluate()
        elif self._found is None:
            self._be_given(text)
        else:
            self._compare(text, table, self._found)

    def _be_given(self, text: str) -> None:
        if found := re.fullmatch(_FLAG, text):
            self._kind, self._flag = found[1], found[2]
            self._default = TYPES[self._kind](found[3])
        elif found := re.fullmatch(_ATTRIBUTE, text):
            self._attributes[found[1]] = TYPES[found[2]](found[3])
        elif found := re.fullmatch(r'a context containing a targeting key with value "(.*)"', text):
            self._targeting_key = found[1]
        elif found := re.fullmatch(_NESTED, text):
            self._attributes[found[1]] = {found[2]: found[3]}
        elif found := re.fullmatch(r'an option "selector" of type "String" with value "rawflags/(.*)"', text):
            self._flags = (TESTBED / "flags" / found[1],)
        else:
            # What a file has no use for: a cache, the way to a daemon, and that all of its flags are meant.
            others = r'an option "cache" .*|.* "flags/allFlags.json"|an? .*(provider|evaluator)'
            assert re.fullmatch(others, text), text

    def _evaluate(self) -> FlagEvaluationDetails[Any]:
        ask = getattr(self._clients(self._flags), f"get_{self._kind.lower()}_details")
        context = EvaluationContext(self._targeting_key, self._attributes)
        found: FlagEvaluationDetails[Any] = ask(self._flag, self._default, context)
        return found

    def _compare(self, text: str, table: list[list[str]], found: FlagEvaluationDetails[Any]) -> None:
        if expected := re.fullmatch(r'the resolved details value should be "(.*)"', text):
            assert found.value == TYPES[self._kind](expected[1])
        elif expected := re.fullmatch(r'the reason should be "(.*)"', text):
            assert found.reason == expected[1]
        elif expected := re.fullmatch(r'the error-code should be "(.*)"', text):
            assert (found.error_code or "") == expected[1]
        elif text == "the resolved metadata is empty":
            assert found.flag_metadata == {}
        else:
            assert text == "the resolved metadata should contain"
            for key, kind, value in table[1:]:
                assert found.flag_metadata[key] == TYPES[kind](value)


@pytest.mark.parametrize(("flags", "steps"), list(examples()))
def test_an_example_of_flagds_testbed(flags: str, steps: list[dict[str, Any]], clients: Clients) -> None:
    world = World(TESTBED / flags, clients)
    for step in steps:
        rows = step.get("argument", {}).get("dataTable", {}).get("rows", [])
        world.take(step["text"], [[cell["value"] for cell in row["cells"]] for row in rows])
    assert world._found is not None


def test_the_testbed_is_there() -> None:
    assert len(list(examples())) > 300
