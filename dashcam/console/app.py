"""Mounting the pages: the blueprint, its security headers and its error pages."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from flask import Blueprint, Flask, Response, current_app, render_template, request, url_for

from dashcam.console import filters
from dashcam.console.gather import Gatherer
from dashcam.console.kept import Kept
from dashcam.console.parameters import BadParameter
from dashcam.console.parts import Parts
from dashcam.console.settings import ConsoleSettings
from dashcam.host_guard import HostGuard
from dashcam.sources import SourceError, Sources, Trace, connect
from dashcam.sources.switches import SwitchSettings
from observability.settings import from_environ

PAGES = (
    "overview",
    "search",
    "trace",
    "compare",
    "contrast",
    "flame",
    "logs",
    "patterns",
    "monitor",
    "explore",
    "alerts",
    "service",
    "diagnose",
    "faults",
    "parts",
    "saved",
    "download",
)
"""The modules under `pages/`; each has `routes(blueprint)`."""

NAVIGATION = (
    ("console.overview", "Overview"),
    ("console.search", "Traces"),
    ("console.logs", "Logs"),
    ("console.monitor", "Metrics"),
    ("console.alerts", "Alerts"),
    ("console.diagnose", "Diagnose"),
)
"""The pages that every page links to; what is saved, faults and parts come on top where there are any."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing inline and nothing from elsewhere: markup that came in as telemetry has nothing to run with."""


@dataclass(frozen=True)
class Console:
    """What the pages work with; kept in the application's extensions."""

    settings: ConsoleSettings
    sources: Sources
    gatherer: Gatherer
    faults: SwitchSettings
    """Whether faults can be switched from here."""
    parts: Parts | None = None
    """The programs that can be switched from here."""
    kept: Kept | None = None
    """Where searches and traces are kept, if anywhere."""
    writing: Lock = field(default_factory=Lock)
    """Held while a file is written for a download."""

    def trace(self, trace_id: str) -> Trace | None:
        """The trace from its source, else from where it is pinned. Raises SourceError."""
        try:
            found = self.sources.traces.trace(trace_id)
        except SourceError:
            if self.kept and (pinned := self.kept.trace(trace_id)):
                return pinned
            raise
        if self.kept is None or (found is not None and found.spans):
            return found
        return self.kept.trace(trace_id)


def console() -> Console:
    """The console of the application that answers the current request."""
    found: Console = current_app.extensions["dashcam_console"]
    return found


def register(
    app: Flask,
    settings: ConsoleSettings | None = None,
    sources: Sources | None = None,
    faults: SwitchSettings | None = None,
    parts: Parts | None = None,
) -> None:
    """Mount the console on `app`.

    An application that answers `/api/traces` itself is asked in this process for whatever no setting places
    elsewhere. `sources` replaces what the settings would connect to. `faults` come from the environment too.
    """
    settings = settings or from_environ(ConsoleSettings)
    answers_queries = any(rule.rule == "/api/traces" for rule in app.url_map.iter_rules())
    sources = sources or connect(settings, here=app.wsgi_app if answers_queries else None)
    gatherer = Gatherer(settings.source_timeout)
    switchable = faults or from_environ(SwitchSettings)
    app.extensions["dashcam_console"] = Console(
        settings,
        sources,
        gatherer,
        switchable,
        parts,
        Kept(Path(settings.kept_dir)) if settings.kept_dir else None,
    )
    filters.install(app)
    app.register_blueprint(_blueprint())


def create_app(
    settings: ConsoleSettings | None = None,
    sources: Sources | None = None,
    faults: SwitchSettings | None = None,
) -> Flask:
    """An application of the console alone, against sources elsewhere."""
    settings = settings or from_environ(ConsoleSettings)
    app = Flask("dashcam.console", static_folder=None)
    register(app, settings, sources, faults)
    app.wsgi_app = HostGuard(app.wsgi_app, settings.host, settings.allowed_hosts)  # type: ignore[method-assign]
    return app


def _blueprint() -> Blueprint:
    blueprint = Blueprint(
        "console",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/console/static",
    )
    for name in PAGES:
        import_module(f"dashcam.console.pages.{name}").routes(blueprint)
    blueprint.after_request(_headers)
    blueprint.register_error_handler(BadParameter, _bad_parameter)
    blueprint.register_error_handler(SourceError, _source_error)
    blueprint.context_processor(_context)
    return blueprint


def _headers(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    # A static file's address has its digest, see _asset; a page is about this moment.
    kept = request.endpoint == "console.static" and "v" in request.args
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-store"
    return response


def _bad_parameter(error: BadParameter) -> tuple[str, int]:
    return render_template(
        "console/message.html", title="That cannot be searched for", problem=str(error)
    ), 400


def _source_error(error: SourceError) -> tuple[str, int]:
    return render_template("console/message.html", title="A source did not answer", away=error), 503


def _context() -> dict[str, Any]:
    faults = (("console.faults", "Faults"),) if console().faults.file else ()
    parts = (("console.parts", "Parts"),) if console().parts else ()
    kept = (("console.saved", "Saved"),) if console().kept else ()
    return {"asset": _asset, "navigation": (*NAVIGATION, *kept, *faults, *parts), "can_save": bool(kept)}


def _asset(name: str) -> str:
    """The address of a static file; it changes with the content, so that browsers may keep it for good."""
    digests = current_app.extensions.setdefault("dashcam_console_assets", {})
    if name not in digests:
        content = (Path(__file__).parent / "static" / name).read_bytes()
        digests[name] = hashlib.sha256(content).hexdigest()[:12]
    return url_for("console.static", filename=name, v=digests[name])
