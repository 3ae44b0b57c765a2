"""Causes that messages show: consumers that stopped or are slow, messages that come again, cut traces.

What is usual of a queue is learnt from the queue itself: a job that takes its messages once a minute lets
them wait for a minute, and only what waits several times as long is waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from dashcam.diagnose import brokers, evidence, unfinished
from dashcam.diagnose.findings import HARM, STOPPED, WASTE, Cause, Evidence
from dashcam.diagnose.message_spans import Processed, Queue, Sent, queues
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import over
from dashcam.diagnose.repeated_messages import repeated
from dashcam.diagnose.significance import FEWEST, LIKELY, Change, rise, shift
from dashcam.model.tree import Tree, self_times

PATIENCE, LONGER = 10.0, 3.0
"""Seconds, and times the longest usual wait, for which a message may wait before its consumer has stopped."""
OTHERS = 0.2
"""The share of what is sent that a consumer may leave to others, for the rest to be missed by it."""
SLOWER, LEAST = 2.0, 0.1
"""Processing counts as slow from SLOWER times the usual plus LEAST seconds on."""
LATER, LATE = 3.0, 1.0
"""Waiting counts from LATER times the usual plus LATE seconds on."""
CUT, SEEN, FEW = 0.3, 8, 5
"""The rise of the share of messages without an origin that counts; messages before, and since, at least."""


def causes(seen: Observed) -> list[Cause]:
    """Everything that messages in traces give as a cause."""
    every = queues([*seen.past, *seen.before, *seen.during])
    named = [cause for queue in every for cause in _of(seen, queue, len(every))]
    return [*brokers.refusing(seen), *named]


def _of(seen: Observed, queue: Queue, tried: int) -> list[Cause]:
    found = [*repeated(seen, queue), *_cut(seen, queue)]
    waiting = _stopped(seen, queue) or _slow(seen, queue, tried) or _late(seen, queue, tried)
    return [*found, waiting] if waiting else found


def about(queue: Queue) -> dict[str, str]:
    """The names of a queue and its consumer, for the details of a cause."""
    return {"queue": queue.destination, "consumer": queue.group}


# -- messages go in and none comes out -------------------------------------------------------------


def _stopped(seen: Observed, queue: Queue) -> Cause | None:
    """Messages go on being sent, and the consumer takes none any more."""
    taken = [one for one in queue.processed if one.waited is not None]
    if len(taken) < FEWEST:
        return None
    last = max(one.span.start for one in queue.processed)
    left = _left(queue)
    missed = [one for one in left if one.span.end > last]
    if len(missed) < FEWEST:
        return None
    waits = [one.waited or 0.0 for one in taken]
    # What it left while it worked was for others, behind the same exchange or topic, or was not recorded.
    due = last - max(waits) * 1e6
    if sum(one.span.end < due for one in left) > OTHERS * sum(one.span.end < due for one in queue.sent):
        return None
    oldest = seen.end - missed[0].span.end / 1e6
    if oldest < max(PATIENCE, LONGER * max(waits)):
        return None
    service, since = queue.service, missed[0].span.start / 1e6
    result = (
        f"{len(missed)} messages for {queue.destination} were sent and not processed, the first "
        f"{oldest:.0f} s ago; those before waited {evidence.seconds(max(waits))} at most"
    )
    shown = [evidence.trace(seen, missed[0].trace, result)]
    return Cause(
        "stopped consumer",
        service,
        queue.destination,
        f"{service} takes no more messages from {queue.destination}: {len(missed)} came since its last",
        STOPPED,
        1.0,
        since=since,
        details={**about(queue), "step": f"process {queue.destination}"},
        evidence=(*shown, *_aged(seen, queue)),
        traces=frozenset(one.trace.trace_id for one in missed),
    )


def _left(queue: Queue) -> list[Sent]:
    """What was sent and not processed, as far as it is known."""
    known = {name for one in queue.processed for name in one.names}
    return [one for one in queue.sent if not one.span.failed and not one.names & known]


def _aged(seen: Observed, queue: Queue) -> list[Evidence]:
    shown = unfinished.age(seen, queue.destination, queue.group)
    return [shown] if shown else []


# -- they come out late ----------------------------------------------------------------------------


def _slow(seen: Observed, queue: Queue, tried: int) -> Cause | None:
    """Each message takes its consumer longer than before."""
    here = [one for one in queue.processed if not one.span.failed]
    times = [one.span.duration / 1e6 for one in here]
    change = shift(times)
    if change is None or change.chance * tried > LIKELY:
        return None
    before, now = mean(times[: change.index]), mean(times[change.index :])
    if now < SLOWER * before + LEAST:
        return None
    since = here[change.index :]
    limit = (before + now) / 2
    slow = [one for one in since if one.span.duration / 1e6 > limit]
    where, own = _step(slow)
    takes = f"{evidence.seconds(now)} instead of {evidence.seconds(before)}"
    waits = [one.waited for one in slow if one.waited is not None]
    rest = f", after waiting for {evidence.seconds(mean(waits))}" if waits else ""
    result = f"{len(slow)} of {len(since)} messages took longer: {takes}, of which {own} in {where}{rest}"
    return _delayed(
        seen, queue, slow, [one for one in since if one not in slow], change, tried,
        f"{queue.service} is slow to process {queue.destination}: a message takes {takes}",
        result, {"step": where},
    )  # fmt: skip


def _late(seen: Observed, queue: Queue, tried: int) -> Cause | None:
    """Messages wait for their consumer longer than before, each of which takes it no longer than it did."""
    here = [one for one in queue.processed if one.waited is not None]
    times = [one.waited or 0.0 for one in here]
    change = shift(times)
    if change is None or change.chance * tried > LIKELY:
        return None
    before, now = mean(times[: change.index]), mean(times[change.index :])
    if now < LATER * before + LATE or now < max(times[: change.index]):
        return None
    since, limit = here[change.index :], (before + now) / 2
    late = [one for one in since if (one.waited or 0.0) > limit]
    waits = f"{evidence.seconds(now)} instead of {evidence.seconds(before)}"
    took = mean(one.span.duration for one in late) / 1e6
    result = f"{len(late)} of {len(since)} messages waited {waits}, and then took {evidence.seconds(took)}"
    return _delayed(
        seen, queue, late, [one for one in since if one not in late], change, tried,
        f"messages in {queue.destination} wait for {queue.service}: {waits} before it takes one, "
        "though each is processed as quickly as before",
        result, {"step": "before it is taken"},
    )  # fmt: skip


def _delayed(
    seen: Observed,
    queue: Queue,
    bad: Sequence[Processed],
    good: Sequence[Processed],
    change: Change,
    tried: int,
    summary: str,
    result: str,
    details: dict[str, str],
) -> Cause:
    return Cause(
        "slow consumer",
        queue.service,
        queue.destination,
        summary,
        HARM,
        1.0,
        since=bad[0].span.start / 1e6,
        until=over(bad, good, seen.end),
        details={**about(queue), **details},
        evidence=(evidence.trace(seen, bad[-1].trace, result), *_aged(seen, queue)),
        chance=min(1.0, change.chance * tried),
        traces=frozenset(one.trace.trace_id for one in bad),
    )


def _step(slow: Sequence[Processed]) -> tuple[str, str]:
    """Where most of the time goes that processing a message takes, and how much that is."""
    spent: dict[str, list[int]] = {}
    for one in slow:
        tree = Tree(one.trace)
        own, todo = self_times(one.trace, tree), [one.span]
        while todo:
            span = todo.pop()
            if span.start < one.span.end:  # what it has sent on goes on after it
                statement = " ".join(str(span.attributes.get("db.query.text") or "").split())[:80]
                name = f"«{statement}»" if statement else f"{span.service} {span.operation}"
                spent.setdefault(name, []).append(own[span.span_id])
                todo += tree.children(span)
    where = max(spent, key=lambda name: sum(spent[name]))
    return where, evidence.seconds(sum(spent[where]) / len(slow) / 1e6)


# -- the trace is cut at the broker ----------------------------------------------------------------


def _cut(seen: Observed, queue: Queue) -> list[Cause]:
    """Messages whose processing used to know where they came from, and no longer does."""
    change = rise([not one.origin for one in queue.processed])
    if change is None or change.before < SEEN or change.after < FEW or change.chance > LIKELY:
        return []
    since = queue.processed[change.index :]
    strangers = [one for one in since if not one.origin]
    usual, share = change.was / change.before, len(strangers) / len(since)
    if share < usual + CUT:
        return []
    senders = " and ".join(queue.senders) or "who sends them"
    result = (
        f"{len(strangers)} of {len(since)} messages of {queue.destination} were processed in a trace "
        f"of their own, without a parent or a link ({usual:.0%} before)"
    )
    return [
        Cause(
            "cut traces",
            queue.service,
            f"{senders} to {queue.service}",
            f"traces are cut between {senders} and {queue.service}: the context of messages in "
            f"{queue.destination} does not arrive",
            WASTE,
            share,
            since=strangers[0].span.start / 1e6,
            details={"caller": senders, "callee": queue.service, **about(queue)},
            evidence=(evidence.trace(seen, strangers[-1].trace, result),),
            chance=change.chance,
        )
    ]
