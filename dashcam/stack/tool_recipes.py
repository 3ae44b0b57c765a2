"""Recipes for programs that no package registry of ours has as binaries, and the cache of what was built."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashcam.stack.settings import ROOT

GO_NEEDED = "1.25"
"""The oldest Go that builds all of them."""


class MissingTool(RuntimeError):
    """A program is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Installed:
    """`go install` of a package at a version."""

    package: str
    version: str
    environ: tuple[tuple[str, str], ...] = ()

    def inputs(self) -> list[bytes]:
        return [repr(self).encode()]


@dataclass(frozen=True)
class Copied:
    """`go build` in a copy of a module's sources, because `go install` refuses a go.mod with replacements."""

    module: str
    version: str
    package: str
    ldflags: str = ""
    environ: tuple[tuple[str, str], ...] = ()

    def inputs(self) -> list[bytes]:
        return [repr(self).encode()]


@dataclass(frozen=True)
class Collected:
    """A Collector of the components that `config` names, by the Collector's own builder.

    `modules` is the folder of what it names by `replaces` as a path of this checkout.
    """

    builder: str
    config: str
    modules: str = field(default="", repr=False)

    def inputs(self) -> list[bytes]:
        beside = sorted((ROOT / self.modules).rglob("*.*")) if self.modules else []
        files = [ROOT / self.config, *(path for path in beside if path.is_file())]
        return [repr(self).encode(), *(path.read_bytes() for path in files)]


@dataclass(frozen=True)
class Ours:
    """`go build` of a module in this checkout, or of a program that its go.mod pins."""

    folder: str
    package: str = "."
    ldflags: str = ""

    def inputs(self) -> list[bytes]:
        files = sorted(path for path in (ROOT / self.folder).rglob("*") if path.is_file())
        return [repr(self).encode(), *(path.read_bytes() for path in files)]


@dataclass(frozen=True)
class Tool:
    """One program.

    `variable` names a binary to use instead; so does one of `on_path` on PATH. `effort` is for the person
    who waits for a build from nothing.
    """

    name: str
    version: str
    purpose: str
    recipe: Installed | Copied | Collected | Ours
    variable: str
    on_path: tuple[str, ...]
    effort: str
    elsewhere: str
    on_demand: bool = False
    """Not built unless it is named: few want it, and it takes long."""

    @property
    def cached(self) -> Path:
        """Where the built program lies: the name changes with whatever changes the program."""
        digest = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
        for part in self.recipe.inputs():
            digest.update(hashlib.sha256(part).digest())
        return cache() / f"{self.name}-{self.version}-{digest.hexdigest()[:12]}" / self.name

    def given(self, environ: Mapping[str, str] | None = None) -> str | None:
        """The program that the person has: by variable, else on PATH. Raises MissingTool for a bad one."""
        environ = os.environ if environ is None else environ
        if named := environ.get(self.variable):
            if found := shutil.which(named):
                return found
            raise MissingTool(f"{self.variable}={named!r} is no program: name one, or unset it")
        return next((found for name in self.on_path if (found := shutil.which(name))), None)

    def path(self) -> str:
        """The program to run: the person's, else the built one. Raises MissingTool."""
        # Not the link in .tools/bin, which may be of an earlier version.
        if found := self.given() or shutil.which(str(self.cached)):
            return found
        raise MissingTool(
            f"{self.name} is not on this machine: it {self.purpose}. Either build it once with `make tools` "
            f"(needs Go {GO_NEEDED} or newer; {self.effort}), or {self.elsewhere}, "
            f"or name one: {self.variable}=/path/to/{self.name}"
        )

    def had(self) -> str:
        """How the program of `path` was had, in words for a report."""
        if self.given():
            return f"found on this machine as `{Path(self.path()).name}`"
        match self.recipe:
            case Installed(version=version) | Copied(version=version):
                return f"built from its Go module {version}"
            case Collected():
                return "built from its Go modules by the Collector's builder"
            case Ours():
                return "built from its Go modules"


def cache() -> Path:
    """The folder of all built programs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dashcam" / "tools"
