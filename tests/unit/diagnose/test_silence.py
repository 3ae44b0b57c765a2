"""Why a call got no answer, in the words of several languages, and what is advised."""

from __future__ import annotations

import pytest
from unit.diagnose.made import span, trace

from dashcam.diagnose import report, silence, trace_causes
from dashcam.diagnose.findings import HARM, STOPPED, Cause
from dashcam.diagnose.follows import follows, slow_statements
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.traced import traced
from dashcam.diagnose.verdict import judge


@pytest.mark.parametrize(
    ("error", "message", "why"),
    [
        ("NameResolutionError", "Failed to resolve 'stock.invalid'", silence.UNRESOLVED),
        ("java.net.UnknownHostException", "stock.invalid", silence.UNRESOLVED),
        ("Error", "getaddrinfo ENOTFOUND stock.invalid", silence.UNRESOLVED),
        ("*url.Error", "dial tcp: lookup stock.invalid: no such host", silence.UNRESOLVED),
        ("socket.gaierror", "[Errno -2] Name or service not known", silence.UNRESOLVED),
        ("Error", "connect ECONNREFUSED 10.0.0.1:80", silence.REFUSED),
        ("NewConnectionError", "[Errno 111] Connection refused", silence.REFUSED),
        ("ReadTimeoutError", "Read timed out", silence.LATE),
        ("*url.Error", "context deadline exceeded", silence.LATE),
        ("ProtocolError", "Connection aborted", ""),
    ],
)
def test_the_callers_error_says_why(error: str, message: str, why: str) -> None:
    assert silence.why(error, message) == why


def unanswered(error: str) -> Cause:
    def request(at: float, error: str = "") -> list:  # type: ignore[type-arg]
        call = span("shop", "GET", at, 0.01, kind="client", error=error, url_full="http://stock:80/x")
        return span("shop", "GET /", at, 0.02, *call)

    seen = Observed(
        0.0,
        100.0,
        onset=50.0,
        before=[trace(request(float(n))) for n in range(20)],
        during=[trace(request(50.0 + n, error)) for n in range(20)],
    )
    (cause,) = trace_causes.failing(seen, traced(seen))
    return cause


def test_who_does_not_answer_is_told_with_whom_it_does_not_answer() -> None:
    assert unanswered("ReadTimeoutError").summary == "stock:80 does not answer shop (ReadTimeoutError)"


def test_a_name_that_does_not_resolve_is_called_that_and_nobody_is_told_to_restart() -> None:
    cause = unanswered("NameResolutionError")
    assert cause.summary == "the name stock:80 does not resolve for shop (NameResolutionError)"
    assert "DNS" in report.advice(cause)
    assert "restart it if it hangs" in report.advice(unanswered("ReadTimeoutError"))


# -- cause and effect ------------------------------------------------------------------------------

SLOW = Cause(
    "slow", "shop", "SELECT", "the statement takes 3.0 s", HARM, 1.0, details={"statement": "SELECT"}
)
SILENT = Cause("unanswered", "shop", "", "shop does not answer front", STOPPED, 1.0)


def test_who_waits_for_its_own_statement_does_not_answer_because_of_it() -> None:
    assert slow_statements([SLOW, SILENT]) == {"shop"}
    assert follows(SILENT, SLOW, {}, Observed(0.0, 1.0)) == (
        "its callers wait no longer than that: the statement takes 3.0 s"
    )


def test_a_statement_that_outlasts_its_callers_patience_is_named_first() -> None:
    def request(at: float, wait: float, error: str = "") -> list:  # type: ignore[type-arg]
        asked = span("shop", "SELECT", at, wait, kind="client", db_query_text="SELECT 1", db_system_name="x")
        inner = span("shop", "GET /items", at, wait + 0.01, *asked)
        call = span(
            "front",
            "GET",
            at,
            min(wait + 0.02, 2.0),
            *inner,
            kind="client",
            error=error,
            url_full="http://shop/",
        )
        return span("front", "GET /", at, min(wait + 0.03, 2.1), *call, error=error)

    seen = Observed(
        0.0,
        200.0,
        onset=100.0,
        before=[trace(request(float(n), 0.01)) for n in range(30)],
        during=[trace(request(100.0 + 3 * n, 3.0, "ReadTimeoutError")) for n in range(30)],
        traced=["front", "shop"],
    )
    found = judge(seen)
    assert found.causes[0].kind == "slow"
    assert "statement" in found.causes[0].details
    assert [cause.kind for cause in found.causes if cause.service == "shop"] == ["slow"]
