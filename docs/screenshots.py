"""Take the pictures of the console in docs/img from the running stack: `make screenshots`.

Break something first (docs/msa-drawbacks.md has ways) for pictures that show more than calm. They are of one
screen, so that they stay small; stack traces, which name folders of the machine, are left folded.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from dashcam.cli.session import open_session
from dashcam.console import parameters
from dashcam.sources import Jaeger, TraceQuery

FOLDER = Path(__file__).parent / "img"
CHROMIUM = "/usr/bin/chromium"
SIZES = {"wide": (1280, 800), "narrow": (390, 844)}
LARGEST = 200_000
"""Bytes that a picture may have."""


def pages(traces: Jaeger) -> dict[str, tuple[str, str, str]]:
    """The pictures: (path, size, scheme) by name."""
    calm = newest(traces, {})
    failing = (
        newest(traces, {"http.response.status_code": "503"}) or newest(traces, {"error": "true"}) or calm
    )
    return {
        "overview-light": ("/", "wide", "light"),
        "overview-dark": ("/", "wide", "dark"),
        "overview-narrow": ("/", "narrow", "light"),
        "search": ("/search?service=car&limit=50", "wide", "light"),
        "trace-light": (f"/trace/{calm}", "wide", "light"),
        "trace-dark": (f"/trace/{failing}", "wide", "dark"),
        "trace-narrow": (f"/trace/{failing}", "narrow", "dark"),
        "compare": (f"/trace/{failing}...{calm}", "wide", "light"),
        "logs-light": ("/logs?lookback=15m", "wide", "light"),
        "logs-dark": ("/logs?lookback=15m", "wide", "dark"),
        "metrics-light": ("/monitor?service=car&lookback=15m", "wide", "light"),
        "metrics-dark": ("/monitor?service=car&lookback=15m", "wide", "dark"),
        "query": (
            "/explore?expr=sum by (job) (rate(http_server_request_duration_seconds_count[1m]))",
            "wide",
            "light",
        ),
        "alerts": ("/alerts", "wide", "light"),
    }


def newest(traces: Jaeger, tags: dict[str, str]) -> str:
    """The id of a recent trace of web with many spans, none of them after its root; empty for none."""
    end = parameters.now()
    found = traces.search(TraceQuery("web", end - 3_600_000_000, end, tags=tags, limit=50))
    whole = [trace for trace in found if trace.root and trace.duration <= trace.root.duration]
    return max(whole, key=lambda trace: (len(trace.services), len(trace.spans))).trace_id if whole else ""


def take(browser: Browser, console: str, name: str, path: str, size: str, scheme: Any) -> None:
    """One picture, and a word where it is too large."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(console + path, wait_until="networkidle")
    picture = FOLDER / f"{name}.png"
    page.screenshot(path=str(picture))
    page.close()
    written = picture.stat().st_size
    print(f"{picture.name:<22} {written // 1024:>4} KiB")
    if written > LARGEST:
        sys.exit(f"{picture} is over {LARGEST // 1000} KB: take less of the page")


def main() -> None:
    """All pictures."""
    session = open_session({}, as_json=False)
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for name, (path, size, scheme) in pages(session.sources.traces).items():
            take(browser, session.settings.jaeger_address, name, path, size, scheme)
        browser.close()


if __name__ == "__main__":
    main()
