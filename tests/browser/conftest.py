"""A headless Chromium for all browser tests, and pages in it that fail a test by what they should not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run. A machine without it fails the tests that ask for it."""
    if not Path(CHROMIUM).exists():
        pytest.fail(f"there is no browser at {CHROMIUM}: install it with `apt-get install -y chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes pages, each in a session of its own: `new_page(width=390, color_scheme="dark", ...)`.

    Whatever is an option of Playwright's `new_context` can be given too.
    """
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 800, **options: Any) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        contexts[-1].set_default_timeout(10_000)
        return contexts[-1].new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def assert_accessible() -> Callable[[Page], None]:
    """Fails for every serious or critical finding of axe-core on a page."""
    axe = Axe()

    def check(page: Page) -> None:
        results = axe.run(page)
        grave = [
            f"{found['id']} ({found['impact']}): {found['help']}: {[node['html'] for node in found['nodes']]}"
            for found in results.response["violations"]
            if found["impact"] in ("serious", "critical")
        ]
        assert not grave, f"{page.url}:\n" + "\n".join(grave)

    return check
