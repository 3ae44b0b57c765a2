"""Pictures of drawn pages for the documentation, by headless Chromium (`apt-get install chromium`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDTH, HEIGHT = 1280, 1000


def take(pages: Mapping[str, Path], folder: Path) -> list[Path]:
    """A picture of the first screen of each page, light and dark, as `NAME-light.png` and `NAME-dark.png`."""
    taken = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        for scheme in ("light", "dark"):
            window = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
            for name, page in pages.items():
                window.goto(page.resolve().as_uri())
                taken.append(folder / f"{name}-{scheme}.png")
                window.screenshot(path=taken[-1])
        browser.close()
    return taken
