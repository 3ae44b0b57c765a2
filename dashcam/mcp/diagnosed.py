"""A diagnosis as an answer of a tool."""

from __future__ import annotations

from dashcam.console import filters
from dashcam.diagnose import findings, report
from dashcam.mcp.answers import Diagnosis, FoundCause, FoundEvidence, Question, cut

CAUSES, EVIDENCE, TRACES, EFFECTS = 5, 4, 3, 5
"""How many of each are answered."""
SAID = ("error", "message", "statement", "host", "caller", "metric", "unfinished")
"""Details of a cause that are told beside its summary."""


def answer(found: findings.Diagnosis, link: str) -> Diagnosis:
    """The diagnosis, cut to what an assistant needs to go on."""
    return Diagnosis(
        start=moment(found.start),
        end=moment(found.end),
        healthy=found.healthy,
        services=list(found.services),
        telemetry=[_cause(found, one) for one in found.telemetry[:CAUSES]],
        causes=[_cause(found, one) for one in found.causes[:CAUSES]],
        effects=[cut(f"{one.summary}, because {why}") for one, why in found.effects[:EFFECTS]],
        questions=[_question(one) for one in found.rivals],
        ruled_out=[cut(one) for one in found.ruled_out],
        alerts=list(found.alerts),
        notes=[cut(one) for one in found.notes],
        link=link,
    )


def moment(seconds: float | None) -> str:
    """Unix seconds as RFC 3339; empty where there is none."""
    return filters.iso(int(seconds * 1e6)) if seconds else ""


def _cause(found: findings.Diagnosis, one: findings.Cause) -> FoundCause:
    return FoundCause(
        kind=one.kind,
        service=one.service,
        place=cut(one.subject),
        summary=cut(one.summary),
        said=cut("; ".join(one.details[name] for name in SAID if one.details.get(name))),
        since=moment(one.since),
        until=moment(one.until),
        confidence=found.confidence(one),
        scope=[cut(text) for text in one.scope],
        change=cut(one.details.get("change", "")),
        evidence=[
            FoundEvidence(each.signal, cut(each.result), each.command, each.link)
            for each in one.evidence[:EVIDENCE]
        ],
        traces=sorted(one.traces)[:TRACES],
        advice=report.advice(one),
        runbook=report.RUNBOOKS.get(one.kind, ""),
    )


def _question(asked: findings.Rivals) -> Question:
    said = []
    for one in asked.hypotheses:
        reasons = [f"for: {text}" for text in one.supports] + [f"against: {text}" for text in one.contradicts]
        said.append(cut(f"{one.text} ({'; '.join(reasons) or 'nothing was measured for or against'})"))
    return Question(cut(asked.about), said, asked.open, cut(asked.test))
