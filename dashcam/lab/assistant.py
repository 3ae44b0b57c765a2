"""What an assistant needs to answer a scenario: a fixed script over the tools of `dashcam mcp`, counted.

No model takes part. The script is what a careful reader of the tools' own description would do: what fires,
what is wrong, the trace and the log lines that show it, and the runbook.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from dashcam.lab.scenario import TELEMETRY, Expected, Scenario

Call = Callable[[str, dict[str, Any]], Awaitable[Mapping[str, Any]]]
"""Calls a tool by name with arguments and returns its structured answer."""


@dataclass
class Walk:
    """The tools that were called, the bytes of their answers as JSON, and what they said."""

    steps: list[str] = field(default_factory=list)
    size: int = 0
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, Any] = field(default_factory=dict)
    runbook: Mapping[str, Any] = field(default_factory=dict)

    def answers(self, scenario: Scenario) -> bool:
        """Whether the causes that are named first are those that the scenario expects."""
        telemetry = any(kind in TELEMETRY for one in scenario.expect for kind in one.kinds)
        ranked = self.diagnosis["telemetry" if telemetry else "causes"][: len(scenario.expect)]
        return all(any(_meets(cause, one) for cause in ranked) for one in scenario.expect)


async def walk(call: Call, since: str = "5m", until: str = "") -> Walk:
    """Follow the script, about the time from `since` to `until`."""
    done = Walk()

    async def ask(tool: str, **arguments: Any) -> Mapping[str, Any]:
        answer = await call(tool, arguments)
        done.steps.append(tool)
        done.size += len(orjson.dumps(answer))
        return answer

    time = {"since": since, "until": until}
    await ask("alerts")
    done.diagnosis = await ask("diagnose", **time)
    first = next(iter((*done.diagnosis["causes"], *done.diagnosis["telemetry"])), None)
    if first is None:
        return done
    if first["traces"]:
        done.trace = await ask("trace", trace_id=first["traces"][0])
        done.lines = await ask("logs", trace_id=first["traces"][0])
    else:
        done.lines = await ask("logs", service=first["service"], level="WARN", **time)
    if first["runbook"]:
        done.runbook = await ask("runbook", name=first["runbook"])
    return done


def _meets(cause: Mapping[str, Any], expected: Expected) -> bool:
    """As :meth:`Expected.met_by`, of a cause as a tool answers it."""
    told = [cause["place"], cause["summary"], cause["said"], *(one["result"] for one in cause["evidence"])]
    return (
        cause["kind"] in expected.kinds
        and cause["service"] == expected.service
        and expected.place.lower() in " ".join(told).lower()
        and expected.scope.lower() in " ".join(cause["scope"]).lower()
    )
