"""What follows from what: which of two things that are wrong explains the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dashcam.diagnose import processes
from dashcam.diagnose.findings import AFTER, HARM, SHED, Cause
from dashcam.diagnose.observe import Observed

DEPENDENT = frozenset(
    {"saturated", "calls", "log lines", "processor", "dependency", "series", "event loop", "garbage"}
    | {"unfinished", "waiting messages"}
)
"""Kinds that a fault further down, or a more telling one at the same place, brings about by itself."""

SAID = frozenset({"new log line", "missing log line"})
"""Kinds that log lines tell, which say less about a place than a failure or a slowness there."""

COVERED = 0.5
"""The share of the traces that suffer from a cause that another one must hold to explain it."""

RUNTIME = frozenset({"event loop", "garbage"})
"""Kinds that say what keeps a process from its requests."""

OF_MESSAGES = {
    "waiting messages": {
        "stopped consumer",
        "slow consumer",
        "poison",
        "duplicates",
        "queue full",
        "broker away",
    },
    "slow consumer": {"poison", "queue full", "broker away"},
}
"""By which kinds it is explained that messages wait in the same queue: what comes again holds up others."""

UNANSWERED = frozenset({"stopped consumer", "slow consumer", "poison", "queue full", "broker away"})
"""Kinds for which messages are not answered, or not in time: who sent them asks again."""

FAILED = frozenset({"failing", "unanswered", "down", "restarting"})
"""Kinds for which who calls may try again, and do its own part of it again too."""

WORK = frozenset({"statements", "log lines", *RUNTIME})
"""Kinds that say what a service does more of, for each request or beside them."""


def weighed(cause: Cause, every: Sequence[Cause], below: Mapping[str, set[str]]) -> Cause:
    """More work for each request is harm, and no mere waste, where it alone can be why its service is slow.

    It cannot where something fails there, or anything is wrong further down: then the work may be repeats and
    complaints.
    """
    if cause.kind not in WORK:
        return cause
    here = {one.kind for one in every if one.service == cause.service and not one.scope}
    elsewhere = any(one.rank <= HARM and one.service in below.get(cause.service, ()) for one in every)
    if "slow" not in here or here & {"failing", "unanswered"} or elsewhere:
        return cause
    return replace(cause, rank=HARM)


def slow_statements(every: Sequence[Cause]) -> frozenset[str]:
    """The services that wait for a statement of their own for longer than before."""
    return frozenset(cause.service for cause in every if _waits_for_a_statement(cause))


def _waits_for_a_statement(cause: Cause) -> bool:
    return cause.kind == "slow" and "statement" in cause.details and "edge" not in cause.details


def follows(cause: Cause, root: Cause, below: Mapping[str, set[str]], seen: Observed) -> str | None:
    """Why `cause` follows from `root`, or None where it does not."""
    downstream = root.service in below.get(cause.service, ())
    if downstream and (cause.service, root.service) in processes.refusing(seen) and cause.kind == "failing":
        return f"{cause.service} has stopped calling {root.service} and refuses at once"
    if downstream and root.kind in UNANSWERED and cause.kind in ("statements", "calls"):
        return f"{cause.service} asks again what is not answered: {root.summary}"
    if downstream and root.kind in UNANSWERED and AFTER in cause.details:
        return f"what {cause.service} does after its answer waits for messages: {root.summary}"
    if root.kind in OF_MESSAGES.get(cause.kind, ()) and _same_queue(root, cause):
        return f"it is of the same queue as: {root.summary}"
    if root.service == cause.service and _sheds(cause) and root.kind == "failing" and not _sheds(root):
        return f"{cause.service} refuses at once while others wait: {root.summary}"
    if not _covers(root, cause):
        return None
    if root.service == cause.service and (root.kind, cause.kind) == ("poison", "failing"):
        return f"these are the deliveries of: {root.summary}"
    if root.service == cause.service:
        return _follows_within(cause, root)
    return _follows_from_below(cause, root) if downstream else None


def _same_queue(root: Cause, cause: Cause) -> bool:
    return cause.details.get("queue") in root.details.get("queue", "").split(", ")


def _follows_within(cause: Cause, root: Cause) -> str | None:
    """Why `cause` follows from `root` in the same service."""
    if root.kind in ("down", "restarting") and cause.kind != root.kind:
        return f"{root.service} does not run"
    if cause.kind in SAID and root.rank <= HARM:
        return f"its requests are those that suffer from: {root.summary}"
    if cause.kind in ("unanswered", "saturated") and _waits_for_a_statement(root):
        return f"its callers wait no longer than that: {root.summary}"
    if cause.kind in ("unanswered", "saturated", "slow") and root.kind == "unanswered":
        return f"{root.service} does not answer"
    if cause.kind in DEPENDENT and root.rank <= HARM:
        return f"it is in the same service as: {root.summary}"
    if root.kind == "descriptors" and cause.kind in ("failing", "unanswered", *DEPENDENT):
        return f"it can open no connection and no file: {root.summary}"
    if cause.kind == "slow" and root.kind in WORK and not cause.scope:
        does = "its process is kept from them" if root.kind in RUNTIME else "it does more for each request"
        return f"{does}: {root.summary}"
    if cause.kind == "slow" and root.kind == "failing" and cause.scope == root.scope:
        return f"what fails there is also slow: {root.summary}"
    return None


def _follows_from_below(cause: Cause, root: Cause) -> str | None:
    """Why `cause` follows from `root` in a service that it calls, near or far."""
    if root.rank > HARM:
        return None
    if cause.kind in SAID:
        return f"its requests are those that suffer from: {root.summary}"
    if cause.kind == "statements" and root.kind in FAILED:
        return f"{cause.service} does again what failed: {root.summary}"
    if cause.kind == "slow" and "peer" in cause.details:
        return f"{cause.service} waits until {root.service} takes its calls"
    if cause.kind in DEPENDENT and (cause.kind, root.kind) != ("processor", "slow"):
        return f"{cause.service} waits for or repeats calls of {root.service}"
    if root.kind in FAILED - {"failing"} and cause.kind in ("failing", "unanswered"):
        return f"{cause.service} calls {root.service}, which does not answer"
    return None


def _sheds(cause: Cause) -> bool:
    return SHED in cause.details


def _covers(root: Cause, cause: Cause) -> bool:
    """Whether most of what suffers from `cause` suffers from `root` too, as far as traces tell of both."""
    if not root.traces or not cause.traces:
        return True
    return len(root.traces & cause.traces) >= COVERED * len(cause.traces)
