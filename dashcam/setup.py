"""Names the library's release that these tools belong to: their own. All else is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
VERSION = runpy.run_path(str(HERE / "version.py"))["VERSION"]
NEEDS = [line for line in (HERE / "requirements.in").read_text().splitlines() if not line.startswith("#")]

setup(version=VERSION, install_requires=[f"dashcam-observability=={VERSION}", *NEEDS])
