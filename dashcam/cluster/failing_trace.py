"""The latest failing trace of a service, through the forward of Jaeger."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request

JAEGER = "http://127.0.0.1:16686"


def latest_failing_trace(service: str, jaeger: str = JAEGER, timeout: float = 5.0) -> str:
    """Its address, or a sentence saying why there is none to show."""
    query = urllib.parse.urlencode(
        {"service": service, "tags": '{"error":"true"}', "lookback": "1h", "limit": "20"}
    )
    try:
        with urllib.request.urlopen(f"{jaeger}/api/traces?{query}", timeout=timeout) as answer:  # noqa: S310 - http, above
            traces = json.load(answer)["data"]
    except (urllib.error.URLError, TimeoutError, OSError, ValueError, KeyError) as error:
        return f"Jaeger does not answer at {jaeger} ({error}); run `make port-forward` beside this"
    if not traces:
        return "none in the last hour"
    newest = max(traces, key=lambda trace: max(span["startTime"] for span in trace["spans"]))
    return f"{jaeger}/trace/{newest['traceID']}"
