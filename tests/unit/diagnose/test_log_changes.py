"""Log statements that came or went, on recordings made by hand."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from unit.diagnose.made import span, trace

from dashcam.diagnose import log_changes
from dashcam.diagnose.findings import AFTER, Cause
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.sources import LogLine, Trace

FAULT = 100.0


def request(at: float, *, called: bool = True, caller: str = "front") -> Trace:
    inner = span("shop", "GET /items", at + 0.01, 0.02)
    call = span(caller, "call", at, 0.05, *inner, kind="client") if called else ()
    return trace(span(caller, "GET /", at, 0.1, *call))


def line(one: Trace, service: str, severity: str, message: str) -> LogLine:
    where = next(each for each in one.spans if each.service == service and each.kind == "server")
    moment = datetime.fromtimestamp(where.start / 1e6, UTC).isoformat()
    return LogLine(
        {
            "timestamp": moment,
            "severity": severity,
            "message": message,
            "service": service,
            "trace_id": one.trace_id,
            "span_id": where.span_id,
        }
    )


def found(before: list[Trace], during: list[Trace], said: list[LogLine], **more: object) -> list[Cause]:
    seen = Observed(0.0, 200.0, onset=FAULT, before=before, during=during, said=said)
    seen = dataclasses.replace(seen, **more)  # type: ignore[arg-type]
    return log_changes.causes(seen, traced(seen).requests)


def ended(one: Trace, status: int) -> Trace:
    """`one`, whose server spans were answered with this status."""
    spans = [
        dataclasses.replace(each, attributes={**each.attributes, "http.response.status_code": status})
        if each.kind == "server"
        else each
        for each in one.spans
    ]
    return dataclasses.replace(one, spans=tuple(spans))


BEFORE = [request(n) for n in range(30)]
DURING = [request(FAULT + n) for n in range(30)]
USUAL = [line(one, "shop", "INFO", f"item {n} priced") for n, one in enumerate(BEFORE)]


def test_an_error_that_no_request_wrote_before_is_a_cause() -> None:
    said = [*USUAL, *(line(one, "shop", "ERROR", f"no price of {n}") for n, one in enumerate(DURING))]
    (cause,) = found(BEFORE, DURING, said)
    assert (cause.kind, cause.service) == ("new log line", "shop")
    assert "30 of 30 times, 0 of 30 before" in cause.evidence[0].result
    assert cause.traces == {one.trace_id for one in DURING}


def test_a_line_that_every_request_wrote_and_none_does_now_is_a_cause() -> None:
    (cause,) = found(BEFORE, DURING, USUAL)
    assert (cause.kind, cause.service) == ("missing log line", "shop")
    assert "«item * priced»" in cause.summary
    assert AFTER not in cause.details


def test_a_line_that_may_still_be_underway_is_not_missed() -> None:
    """Spans are often there before the lines of the same requests: that is the agent's way, and no fault."""
    now = DURING[-1].start / 1e6
    late = {"end": now + 1, "heard": {"shop": BEFORE[-1].start / 1e6}}
    assert found(BEFORE, DURING[-14:], USUAL, **late) == []
    assert found(BEFORE, DURING[-14:], USUAL, **{**late, "live": False})
    assert found(BEFORE, DURING[-14:], USUAL, **{**late, "heard": {"shop": now}})
    assert found(BEFORE, DURING[-14:], USUAL, **{**late, "end": now + 30})


def test_a_line_that_is_written_after_the_answer_is_not_missed_until_it_is_late() -> None:
    """What is done for a request goes on after its answer: later requests are not so far."""

    def ordered(at: float, done: bool) -> Trace:
        after = span("shop", "send", at + 8, 0.1) if done else ()
        return trace(span("shop", "POST /orders", at, 0.05, *after))

    def sent(one: Trace) -> LogLine:
        last = one.spans[-1]
        fields = {"service": "shop", "severity": "INFO", "message": "sent", "span_id": last.span_id}
        return LogLine({**fields, "trace_id": one.trace_id})

    done = [ordered(n, True) for n in range(60)]
    said = [sent(one) for one in done]
    underway = [ordered(60 + n / 2, False) for n in range(30)]
    now = {"heard": {"shop": 75.0}, "end": 76.0}
    assert found(done, underway, said, **now) == []
    (cause,) = found(done, underway, said, heard={"shop": 95.0}, end=96.0)
    assert cause.kind == "missing log line"
    assert AFTER in cause.details
    unheard = {"unheard": [(int(76e6), int(90e6))]}  # when they would have said it
    assert found(done, underway, said, heard={"shop": 95.0}, end=96.0, **unheard) == []
    assert found(done, underway, said, end=96.0, live=False)
    assert found(done, underway, said, end=76.0, live=False) == []


def test_errors_that_were_always_there_are_none() -> None:
    said = [line(one, "shop", "ERROR", "no stock") for one in [*BEFORE[::3], *DURING[::3]]]
    assert found(BEFORE, DURING, said) == []


def test_a_line_that_ceased_before_the_time_that_is_diagnosed_is_not_missed() -> None:
    """It may have been of a trouble that is over: the past is only to know what is usual."""
    assert found([], DURING, USUAL, start=FAULT + 5, past=[*BEFORE, *DURING[:5]]) == []
    (cause,) = found([], DURING, USUAL, start=FAULT - 5, past=BEFORE)
    assert cause.kind == "missing log line"


def test_a_recovery_is_none() -> None:
    failing = [line(one, "shop", "ERROR", "no stock") for one in BEFORE]
    well = [line(one, "shop", "INFO", "priced") for one in DURING]
    assert found(BEFORE, DURING, [*failing, *well]) == []


def test_a_line_that_only_some_requests_wrote_is_not_missed() -> None:
    assert found(BEFORE, DURING, USUAL[::2]) == []


def test_a_line_that_only_those_wrote_who_ended_otherwise_is_not_missed() -> None:
    """Who sends a form without its token is told so; later there are only some who send it right."""
    refused = [ended(one, 400) for one in BEFORE]
    taken = [ended(one, 303) for one in DURING]
    assert found(refused, taken, USUAL) == []
    assert found(refused, [ended(one, 400) for one in DURING], USUAL)


def test_a_line_of_trouble_that_is_over_is_not_missed() -> None:
    """Asked again while it failed, and refused at once since the circuit is open."""
    well = [ended(request(n), 200) for n in range(30)]
    asked_again = [ended(request(30 + n), 503) for n in range(10)]
    refused = [ended(one, 503) for one in DURING]
    said = [line(one, "shop", "INFO", "asked again") for one in asked_again]
    assert found([*well, *asked_again], refused, said) == []


def test_lines_that_were_not_asked_for_are_not_missed() -> None:
    since = int(FAULT * 1e6)
    assert found(BEFORE, DURING, USUAL, unheard=[(since, since + 10**9)]) == []


def test_another_mix_of_callers_is_no_cause() -> None:
    """The shop says it for one of its two callers only, who begins to ask where the other did."""
    both = [request(n, caller="front" if n % 10 else "back") for n in range(30)]
    later = [request(FAULT + n, caller="back" if n % 10 else "front") for n in range(30)]
    said = [line(one, "shop", "ERROR", "old client") for one in [*both, *later] if "back" in one.services]
    assert found(both, later, said) == []


def test_an_error_that_names_who_is_not_reached_any_more_blames_that_one() -> None:
    alone = [request(FAULT + n, called=False) for n in range(30)]
    said = [line(one, "front", "ERROR", "No instances available for shop") for one in alone]
    (cause,) = found(BEFORE, alone, said)
    assert (cause.kind, cause.service) == ("unanswered", "shop")


def test_a_statement_is_known_by_its_place_in_the_code_whatever_it_says() -> None:
    one = BEFORE[0]
    java = [line(one, "shop", "INFO", f"16:48:4{n} INFO o.s.Prices#46 [{n}:{'ab'[n]}]") for n in range(2)]
    python = [line(one, "shop", "INFO", f"shop/prices.py:46 {word} is cheap") for word in ("tea", "milk")]
    assert len({log_changes.statement(each) for each in java}) == 1
    assert len({log_changes.statement(each) for each in python}) == 1
    assert log_changes.statement(java[0]) != log_changes.statement(python[0])


def test_errors_of_the_time_before_what_is_diagnosed_are_no_cause_of_it() -> None:
    """What was broken and is well again by the start is there only to know what is usual."""
    early, broken = [request(n) for n in range(30)], [request(40 + n) for n in range(30)]
    said = [line(one, "shop", "ERROR", "no price") for one in broken]
    assert found([], DURING, said, start=90.0, past=[*early, *broken]) == []
    assert found([], broken, said, start=39.0, past=early) != []


def test_the_line_of_each_request_with_its_path_and_status_is_no_statement() -> None:
    said = [line(one, "shop", "INFO", "GET /items/7 200") for one in BEFORE]
    access = [LogLine({**each.fields, "http.response.status_code": 200}) for each in said]
    assert found(BEFORE, DURING, access) == []
    assert found(BEFORE, DURING, said) != []
