"""A part of a diagnosis: what concerns one service."""

from __future__ import annotations

from dataclasses import replace

from dashcam.diagnose.findings import Cause, Diagnosis


def narrowed(found: Diagnosis, service: str) -> Diagnosis:
    """Only what concerns `service`: causes there, and those elsewhere that its own symptoms follow from."""

    def concerns(cause: Cause) -> bool:
        return service in (cause.service, cause.details.get("caller"), cause.details.get("callee"))

    suffering = any(symptom.service == service for symptom in found.symptoms)
    return replace(
        found,
        symptoms=tuple(one for one in found.symptoms if one.service == service),
        causes=tuple(one for one in found.causes if suffering or concerns(one)),
        effects=tuple(one for one in found.effects if concerns(one[0])),
    )
