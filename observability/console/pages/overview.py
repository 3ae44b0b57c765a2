"""`/`: every service at a glance, who calls whom, and what is firing."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response


def routes(blueprint: Blueprint) -> None:
    blueprint.add_url_rule("/", view_func=overview)


def overview() -> Response:
    """The traces, until the overview has something of its own to say."""
    return redirect(url_for("console.search"))
