"""The script of web's pages is what its source and the locked packages of npm give."""

from __future__ import annotations

import subprocess
from pathlib import Path

from integration import npm

from dashcam.stack.settings import ROOT

WEB = ROOT / "services" / "web"


def test_the_committed_bundle_is_what_its_source_gives(tmp_path: Path) -> None:
    folder = npm.installed(WEB / "browser", tmp_path / "browser")
    command = ["npm", "run", "build", "--silent"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=120)
    committed = (WEB / "static" / "telemetry.js").read_text()
    assert built.stdout == committed, "services/web/static/telemetry.js is old: `make web-browser`"
