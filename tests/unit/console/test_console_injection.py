"""Text that came in as telemetry never runs as markup, wherever it sits."""

from __future__ import annotations

from typing import Any

import pytest
import recorded
from recorded import OTHER, SCRIPT, START, Recorded


def hostile_sources() -> dict[str, Recorded]:
    line = {
        **recorded.line(SCRIPT),
        "service": SCRIPT,
        "severity": SCRIPT,
        SCRIPT: SCRIPT,
        "trace_id": SCRIPT,
    }
    line |= {"span_id": '"><script>alert(1)</script>', "exception.stacktrace": SCRIPT}
    trace = {"data": [recorded.hostile_trace()]}
    sample = {"metric": {"job": SCRIPT, SCRIPT: SCRIPT, "http_route": SCRIPT}, "value": [START / 1e6, "1"]}
    series = {"metric": sample["metric"], "values": [[START / 1e6, "1"], [START / 1e6 + 5, "2"]]}
    exemplar = {"labels": {"trace_id": SCRIPT}, "value": "1", "timestamp": START / 1e6}
    alert = recorded.alert(SCRIPT, service=SCRIPT, **{SCRIPT: SCRIPT})
    alert["annotations"] = {"summary": SCRIPT, "description": SCRIPT, "runbook_url": f'http://x/"{SCRIPT}'}

    def ok(data: Any) -> dict[str, Any]:
        return {"status": "success", "data": data}

    return {
        "jaeger": Recorded(
            {
                "/api/services": {"data": [SCRIPT]},
                "/api/services/%3Cscript%3Ealert%281%29%3C%2Fscript%3E/operations": {"data": [SCRIPT]},
                "/api/traces": trace,
                f"/api/traces/{OTHER}": trace,
                "/api/dependencies": {"data": [{"parent": SCRIPT, "child": "x", "callCount": 1}]},
            }
        ),
        "logs": Recorded(
            {
                "/api/logs": {"logs": [line], "total": 1},
                "/api/logs/histogram": {"width": 1, "buckets": [{"start": START, "counts": {SCRIPT: 1}}]},
            }
        ),
        "prometheus": Recorded(
            {
                "/api/v1/query": ok({"resultType": "vector", "result": [sample]}),
                "/api/v1/query_range": ok({"resultType": "matrix", "result": [series]}),
                "/api/v1/query_exemplars": ok([{"seriesLabels": {SCRIPT: SCRIPT}, "exemplars": [exemplar]}]),
                "/api/v1/alerts": ok({"alerts": [alert]}),
                "/api/v1/label/job/values": ok([SCRIPT]),
            }
        ),
    }


DURING = f"lookback=custom&start={START - 9}&end={START + 9_000_000}"
QUOTED = "%3Cscript%3Ealert(1)%3C/script%3E"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/search?service={QUOTED}&operation={QUOTED}&tags=a%3D{QUOTED}",
        f"/trace/{OTHER}",
        f"/trace/{OTHER}?find={QUOTED}",
        f"/trace/{OTHER}/span/d1",
        f"/trace/{OTHER}...{OTHER}",
        f"/trace/{OTHER}/flame",
        f"/logs?service={QUOTED}&q={QUOTED}&fields=a%3D{QUOTED}&{DURING}",
        "/logs/live?place=5",
        f"/monitor?service={QUOTED}&{DURING}",
        f"/explore?expr=%3C/textarea%3E{QUOTED}&{DURING}",
        "/alerts",
        "/trace/%3Cscript%3Ealert(1)",
        f"/search?lookback={QUOTED}",
    ],
)
def test_markup_in_telemetry_and_parameters_stays_text(open_console: Any, markup: Any, path: str) -> None:
    answer = open_console(**hostile_sources()).get(path)
    assert answer.status_code in (200, 400)
    assert "alert(1)" in answer.text
    parsed = markup(answer.text)
    assert parsed.complaints() == []
    assert "img" not in {tag for tag, _ in parsed.elements}
    assert sum(tag == "script" for tag, _ in parsed.elements) in (0, 2, 3)
    assert not any("alert" in name for _, attributes in parsed.elements for name in attributes)
