"""Every command of the pages that people follow first, on a stack that was just started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from walks.checkout import environ
from walks.walking import Shell, steps, walk
from watchdog import Watchdog

from dashcam.stack.ports import free_ports
from dashcam.stack.settings import read

PAGES = ("README.md", "docs/tutorial.md", "docs/msa-drawbacks.md", "docs/how-to/own-service.md")


@pytest.fixture
def shell(checkout: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell in the checkout, for a stack of its own on free ports; what runs in it ends with the test."""
    usual = read({}).ports()
    used = [name for name, port in usual.items() if port]
    free = dict(zip(used, free_ports(len(used) + 2), strict=False))
    others = free_ports(2, but=free.values())
    state = tmp_path / "state"
    variables = {
        **environ(checkout),
        **{name: str(port) for name, port in free.items()},
        "DASHCAM_STATE_DIR": str(state),
    }
    down = ["make", "--no-print-directory", "down"]
    watchdog = Watchdog(command=["make", "-C", str(checkout), "down"], environ=variables)
    addresses = {f":{usual[name]}": f":{port}" for name, port in free.items()}
    own = {"5055": str(others[0]), "19500": str(others[1])}
    try:
        with Shell(checkout, variables, {**addresses, **own, ".dashcam": str(state)}) as started:
            yield started
    finally:
        subprocess.run(down, cwd=checkout, env=variables, check=True, capture_output=True)
        watchdog.dismiss()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_does_what_the_page_says(page: str, shell: Shell, checkout: Path) -> None:
    text = (checkout / page).read_text(encoding="utf-8")
    asked = steps(text)
    assert asked, f"{page} has no command"
    if not any("make up" in step.script for step in asked):
        assert shell.run("make up")[0] == 0
    for printed in walk(text, shell):
        print(printed)
