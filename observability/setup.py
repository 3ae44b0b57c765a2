"""Compiles the request path; all else about the distribution is in pyproject.toml.

It is optional: where it cannot be compiled, the installation goes on and services run in pure Python.
`make up` and `make test` have it in place (dashcam/stack/compiling.py), an image in its build stage;
by hand, with what requirements-build.txt locks:

    .venv/bin/python -m dashcam.stack.compiling
"""

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError


class OptionalBuild(build_ext):
    """Leaves what is generated out of the checkout, and takes Cython's errors for those of a compiler."""

    def initialize_options(self) -> None:
        super().initialize_options()
        self.cython_c_in_temp = True

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception as error:  # Cython has errors of its own, which `optional` does not know
            raise CompileError(str(error)) from error


class WithoutThisFile(build_py):
    """Installs the package that this file lies in without it."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if module[1] != "setup"]


setup(
    cmdclass={"build_ext": OptionalBuild, "build_py": WithoutThisFile},
    ext_modules=[
        Extension(
            "observability.http._speedups",
            ["http/_speedups.pyx"],
            optional=True,
            # What a debugger reads names the folder it was compiled in: no two builds would be the same.
            extra_compile_args=["-g0"],
        )
    ],
)
