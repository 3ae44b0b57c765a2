"""A console over recorded answers."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
import recorded
from flask.testing import FlaskClient

from dashcam.console import ConsoleSettings, create_app

Open = Callable[..., FlaskClient]


@pytest.fixture
def open_console() -> Open:
    """Makes a client of the console; each source plays recorded answers unless another is given."""

    def open_with(source_timeout: float = 10.0, **sources: Any) -> FlaskClient:
        settings = ConsoleSettings(source_timeout=source_timeout)
        return create_app(settings, recorded.sources(**sources)).test_client()

    return open_with


@pytest.fixture
def console(open_console: Open) -> FlaskClient:
    return open_console()


def text_of(page: str) -> str:
    """What a reader sees of a page, in one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


class Markup(HTMLParser):
    """The elements of a page as a browser would see them: (tag, attributes)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def complaints(self) -> list[str]:
        """What could run or load something: inline code, inline styles, addresses elsewhere."""
        found = []
        for tag, attributes in self.elements:
            if (
                tag == "style"
                or (tag == "script" and not attributes.get("src"))
                or tag in ("iframe", "object")
            ):
                found.append(f"<{tag}>")
            for name, value in attributes.items():
                address = (value or "").strip().lower()
                if name.startswith("on") or name == "style":
                    found.append(f"<{tag} {name}>")
                elif (
                    name in ("src", "href", "action", "data")
                    and tag != "a"
                    and not address.startswith(("/", "#"))
                ) or address.startswith(("javascript:", "data:", "vbscript:")):
                    found.append(f"<{tag} {name}={value!r}>")
        return found


@pytest.fixture
def markup() -> type[Markup]:
    return Markup
