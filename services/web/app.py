"""Builds the web application: the one place where its parts and settings meet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response, url_for
from flask_wtf.csrf import CSRFProtect  # type: ignore[import-untyped]  # Flask-WTF carries no types

from observability import current_trace_id, instrument
from observability.settings import from_environ
from observability.version import VERSION
from services.faults import points as faults
from services.web import browser, catalogue, errors, order_routes, routes
from services.web.clients import CarClient
from services.web.orders import OrdersClient
from services.web.settings import Settings, secret_key

MAX_FORM_BYTES = 256 * 1024

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every response. Pages need no frame and nothing of another host, and work without a script."""

STATIC_SECONDS = 86400
"""How long a browser may keep a style sheet or picture; their addresses change with their content."""


def create_app(
    settings: Settings | None = None, *, car: CarClient | None = None, orders: OrdersClient | None = None
) -> Flask:
    """The application. `settings` come from the environment by default; `car`, `orders` replace the clients.

    Raises SettingError when the settings cannot be used.
    """
    settings = settings or from_environ(Settings)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secret_key(settings),
        SESSION_COOKIE_NAME="dashcam_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.session_cookie_secure,
        SEND_FILE_MAX_AGE_DEFAULT=STATIC_SECONDS,
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        # A form may stay open over lunch: its token is good for as long as the session is.
        WTF_CSRF_TIME_LIMIT=None,
    )
    instrument(app, service="web", version=VERSION, ready={})
    faults.install(app, "web")
    browser.install(app, settings.browser_otlp_url)
    CSRFProtect(app)
    routes.install(
        app,
        car or CarClient(settings.car_url, token=settings.car_write_token, timeout=settings.car_timeout),
    )
    order_routes.install(app, orders or OrdersClient(settings.orders_url, timeout=settings.orders_timeout))
    errors.install(app)
    _install_templates(app, settings)
    app.after_request(partial(_finish, _headers(browser.origin_of(settings.browser_otlp_url))))
    return app


def _install_templates(app: Flask, settings: Settings) -> None:
    """What every template can use: filters, addresses of static files, the trace of this request."""
    static = Path(app.static_folder or "")
    digests = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in sorted(static.iterdir())
    }
    console = settings.console_url.rstrip("/")

    def asset(name: str) -> str:
        return url_for("static", filename=name, v=digests[name])

    def trace_address(trace: str) -> str:
        return f"{console}/trace/{trace}"

    def context() -> dict[str, Any]:
        trace_id = current_trace_id()
        return {
            "asset": asset,
            "trace_id": trace_id,
            "trace_url": trace_address(trace_id) if trace_id else None,
            "trace_address": trace_address,
            "version": VERSION,
        }

    app.context_processor(context)
    app.add_template_filter(catalogue.money, "money")
    app.add_template_filter(catalogue.title, "headline")
    app.jinja_options = {**app.jinja_options, "trim_blocks": True, "lstrip_blocks": True}


def _headers(sent_to: str) -> dict[str, str]:
    """The headers of every response, where pages may also send to the origin `sent_to`."""
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    allowed = policy.replace("connect-src 'self'", f"connect-src 'self' {sent_to}".rstrip())
    return {**SECURITY_HEADERS, "Content-Security-Policy": allowed}


def _finish(headers: Mapping[str, str], response: Response) -> Response:
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    if "Cache-Control" not in response.headers:
        # A page names the trace of its own request, so only that request's browser may keep it.
        response.headers["Cache-Control"] = "private, no-cache"
    return response
