"""What was looked at and found well, and of which services nobody can say it."""

from __future__ import annotations

from collections.abc import Sequence

from dashcam.diagnose import processes
from dashcam.diagnose.changes import Change
from dashcam.diagnose.findings import Cause, Symptom
from dashcam.diagnose.observe import Observed

EVERY_INSTANCE = "every instance answers its scrapes, and none was started again and again"


def ruled_out(
    seen: Observed, causes: Sequence[Cause], symptoms: Sequence[Symptom], came: Sequence[Change]
) -> list[str]:
    """What was looked at and found well, in words, and of which services nobody can say it."""
    kinds = {cause.kind for cause in causes}
    mine = processes.services(seen)
    away = any(v == 0 for s in seen.named("up") if s.labels.get("job") in mine for _, v in s.points)
    looked: list[tuple[str, bool, str]] = [
        ("up", away or bool(kinds & {"down", "restarting"}), EVERY_INSTANCE),
        ("answers", any(symptom.what == "fails" for symptom in symptoms), "no route answers more 5xx"),
        ("busy", "saturated" in kinds, "no service is out of threads"),
        ("memory", "memory" in kinds, "no process's memory grows without end"),
        ("cpu", "processor" in kinds, "no process computes more than before"),
        ("statements", "statements" in kinds, "no service asks its database more often for each request"),
    ]
    said = [
        f"{text}{_unknown(seen, query)}" for query, found, text in looked if seen.named(query) and not found
    ]
    if seen.during and "cut traces" not in kinds:
        said.append("traces go on from service to service as before")
    started = {
        s.labels.get("job", "") for s in seen.named("started") if any(v > seen.start for _, v in s.points)
    }
    if seen.named("started") and not started & mine and not came:
        said.append(f"nothing was deployed or restarted in this time{_unknown(seen, 'started')}")
    return said


def _unknown(seen: Observed, query: str) -> str:
    """Whom a query does not know, of those that send spans."""
    measured = {one.labels.get("job", "") for one in seen.named(query)}
    missing = sorted(set(seen.traced) - measured) if query != "statements" else []
    return f" (not known of {', '.join(missing)})" if missing else ""
