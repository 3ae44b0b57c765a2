"""Names the library's release that these tools belong to: their own. All else is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = runpy.run_path(str(HERE / "version.py"))["VERSION"]
NEEDS = [line for line in (HERE / "requirements.in").read_text().splitlines() if not line.startswith("#")]


class WithoutThisFile(build_py):
    """Installs the package that this file lies in without it."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if module[1] != "setup"]


setup(
    cmdclass={"build_py": WithoutThisFile},
    version=VERSION,
    install_requires=[f"dashcam-observability=={VERSION}", *NEEDS],
)
