"""Build what `tools` declares: `python -m dashcam.stack.build_tools [NAME ...]`, behind `make tools`.

Each program is built once for a machine, in a folder beside its place in the cache, and moved there when
it is whole; two builds of one program wait for each other. A program of that name on PATH, or named by its
variable, is used instead. Where everything is there, nothing but the links in .tools/bin is touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from dashcam.stack.settings import ROOT
from dashcam.stack.tool_recipes import GO_NEEDED, Collected, Copied, Installed, MissingTool, Ours, Tool
from dashcam.stack.tools import BIN, TOOLS

TELL_SECONDS = 15.0
"""How often a build says how far it is."""

_LAST_LINES = 30


class BuildError(RuntimeError):
    """A build failed; the message ends with the compiler's own words."""


def provide(tool: Tool) -> str:
    """Have `tool` on this machine and answer where. Raises MissingTool or BuildError."""
    if given := tool.given():
        say(f"{tool.name}: using {given} ({version_of(given)}); the tests are written for {tool.version}")
        return given
    if not tool.cached.exists():
        if shutil.which("go") is None:
            raise MissingTool(
                f"Go is not on PATH, and {tool.name} {tool.version} must be built: install Go {GO_NEEDED} or "
                f"newer (Debian: apt-get install golang-go; macOS: brew install go; or https://go.dev/dl/), "
                f"or {tool.elsewhere}, or name one: {tool.variable}=/path/to/{tool.name}"
            )
        with _alone(tool):
            if not tool.cached.exists():
                _build(tool)
    _link(tool)
    return str(tool.cached)


def _link(tool: Tool) -> None:
    link = BIN / tool.name
    if link.is_symlink() and link.readlink() == tool.cached:
        return
    BIN.mkdir(parents=True, exist_ok=True)
    fresh = BIN / f".{tool.name}.{os.getpid()}"
    fresh.symlink_to(tool.cached)
    fresh.replace(link)  # at once: another program may be looking
    say(f"{tool.name}: {tool.version} from {tool.cached.parent}")


@contextmanager
def _alone(tool: Tool) -> Iterator[None]:
    folder = tool.cached.parent.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{tool.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{tool.name}: waiting for another build of it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(tool: Tool) -> None:
    place = tool.cached.parent
    began = time.monotonic()
    say(f"{tool.name}: building {tool.version} ({tool.effort} when Go's own cache is empty) …")
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as made:
        folder = Path(made)
        out = folder / "out"
        out.mkdir()
        _follow(tool, folder, out)
        shutil.rmtree(place, ignore_errors=True)
        out.rename(place)
        # Go makes its copies of sources read-only, which would keep them from being deleted.
        _writable(folder)
    say(f"{tool.name}: built in {time.monotonic() - began:.0f} s")


def _follow(tool: Tool, folder: Path, out: Path) -> None:
    """Do what the recipe says; the program is then in `out`."""
    recipe, binary = tool.recipe, str(out / tool.name)
    match recipe:
        case Installed():
            target = f"{recipe.package}@{recipe.version}"
            _go(tool, ["install", "-v", target], folder, {**dict(recipe.environ), "GOBIN": str(out)})
        case Copied():
            sources = folder / "sources"
            shutil.copytree(_downloaded(tool, f"{recipe.module}@{recipe.version}", folder), sources)
            _writable(sources)
            flags = ["-ldflags", recipe.ldflags] if recipe.ldflags else []
            _go(tool, ["build", "-v", *flags, "-o", binary, recipe.package], sources, dict(recipe.environ))
        case Collected():
            _go(tool, ["install", "-v", recipe.builder], folder, {"GOBIN": str(folder)})
            config = (ROOT / recipe.config).read_text().replace(".tools/collector", str(folder / "collector"))
            if recipe.modules:
                config = config.replace(f"=> {recipe.modules}", f"=> {ROOT / recipe.modules}")
            (folder / "build.yaml").write_text(config)
            # The builder writes the sources; Go compiles them here, so that one sees how far it is.
            _run(tool, [str(folder / "builder"), "--skip-compilation", "--config", "build.yaml"], folder, {})
            flags = ["-trimpath", "-ldflags", "-s -w"]
            environ = {"CGO_ENABLED": "0"}
            _go(tool, ["build", "-v", *flags, "-o", binary, "."], folder / "collector", environ)
        case Ours():
            flags = ["-trimpath", "-ldflags", recipe.ldflags] if recipe.ldflags else []
            # Its go.sum is in the checkout, and stays as it is.
            environ = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
            _go(tool, ["build", "-v", *flags, "-o", binary, recipe.package], ROOT / recipe.folder, environ)


def _downloaded(tool: Tool, module: str, folder: Path) -> Path:
    done = subprocess.run(  # noqa: S603 - every word of it is written in tools.py
        ["go", "mod", "download", "-json", module],  # noqa: S607 - the Go that the person has on PATH
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise BuildError(
            f"{tool.name}: {module} could not be downloaded:\n{(done.stderr or done.stdout).strip()}"
        )
    return Path(json.loads(done.stdout)["Dir"])


def _writable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)


def _go(tool: Tool, arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
    _run(tool, ["go", *arguments], folder, environ)


def _run(tool: Tool, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
    """Run a command and tell how far it is: with -v, Go names each package that it compiles."""
    process = subprocess.Popen(  # noqa: S603 - every word of it is written in this module or in tools.py
        command,
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    began = told = time.monotonic()
    lines: list[str] = []
    with process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                say(f"{tool.name}: {told - began:4.0f} s, {len(lines)} packages, now {lines[-1]}")
    if process.returncode != 0:
        raise BuildError(f"{tool.name}: `{' '.join(command)}` failed:\n" + "\n".join(lines[-_LAST_LINES:]))


def version_of(path: str) -> str:
    """The version that a program says it has, without a leading `v`."""
    for arguments in (["--version"], ["version"]):
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=30)  # noqa: S603
        if done.returncode == 0 and (said := re.search(r"\d+\.\d+\.\d[^\s,\"]*", done.stdout + done.stderr)):
            return said[0]
    return "of an unknown version"


def say(text: str) -> None:
    """Tell the person, beside what the command answers."""
    print(f"tools: {text}", file=sys.stderr, flush=True)


def main(names: Sequence[str]) -> int:
    """Have the named programs, or all that are not on demand; 0, or 1 with the reason on stderr."""
    if unknown := [name for name in names if name not in TOOLS]:
        say(f"there is no tool {', '.join(unknown)}: name some of {', '.join(TOOLS)}")
        return 2
    try:
        for name in names or [tool.name for tool in TOOLS.values() if not tool.on_demand]:
            provide(TOOLS[name])
    except (MissingTool, BuildError) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
