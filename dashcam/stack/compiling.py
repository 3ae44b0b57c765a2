"""Have the request path compiled, in place, where this machine can.

    python -m dashcam.stack.compiling

The exit status is 0 when `observability/http/_speedups.<abi>.so` is there and no older than its sources,
and 1 with the reason and the remedy on stderr when it is not: then services run in pure Python, which says
the same at a higher cost a request. `make up` goes on all the same; `make test` and `make bench` need it.
A module of older sources is never left behind, so that what runs is what one reads.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from dashcam.stack.needs import COMPILER, PYTHON_HEADERS, Need
from dashcam.stack.prerequisites import remedy

ROOT = Path(__file__).parents[2]
SOURCES = ("observability/http/_speedups.pyx", "observability/setup.py", "requirements-build.txt")
"""What the compiled module comes from; the last is Cython, at its version."""

LINES = 12
"""How much of a compiler's complaint is shown: its last lines."""


class CompilationError(RuntimeError):
    """The compiler or Cython failed; the message is the end of what they said."""


def built(root: Path) -> Path:
    """Where the module of this Python is, or would be; other Pythons have theirs beside it."""
    return root / "observability" / "http" / f"_speedups{sysconfig.get_config_var('EXT_SUFFIX')}"


def remove_outdated(root: Path) -> None:
    """Remove the compiled modules, of any Python, that are older than their sources."""
    changed = max((root / source).stat().st_mtime for source in SOURCES)
    for module in (root / "observability" / "http").glob("_speedups.*.so"):
        if module.stat().st_mtime < changed:
            module.unlink(missing_ok=True)


def compile_in_place(root: Path) -> None:
    """Compile the module of this Python. Raises CompilationError."""
    with tempfile.TemporaryDirectory(prefix="dashcam-compiling-") as folder:
        # A folder of its own: setuptools would take what an earlier build left where this one fails.
        into = [f"--build-lib={folder}", f"--build-temp={folder}"]
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own setup.py
            # -P: beside setup.py stands a package `http`, which is not the standard library's.
            [sys.executable, "-P", "setup.py", "-q", "build_ext", *into],
            cwd=root / "observability",
            env={**_compiler(), **os.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        made = Path(folder, "observability", "http", built(root).name)
        if not made.exists():
            raise CompilationError(_end_of(done.stdout))
        # In one step, because another `make` may do the same, and a service may be starting.
        whole = built(root).with_name(f"{built(root).name}.{os.getpid()}")
        shutil.copy(made, whole)
        whole.replace(built(root))


def _compiler() -> dict[str, str]:
    """The variable that names a compiler, where the one this Python was built with is not here."""
    recorded = (sysconfig.get_config_var("CC") or "cc").split()[0]
    found = COMPILER.path()
    return {"CC": found} if found and not shutil.which(recorded) else {}


def _end_of(said: str) -> str:
    lines = said.rstrip().splitlines()
    # setuptools repeats the whole command last, which says nothing where the compiler has spoken.
    speaking = [line for line in lines if ' building extension "' not in line]
    return "\n".join((speaking or lines)[-LINES:])


def advice(lacking: list[Need]) -> str:
    """How to get what compiling needs: of the system's packages, no more than that."""
    if shutil.which("apt-get"):
        return f"apt-get install {' '.join(need.apt for need in lacking)}"
    return remedy(lacking).replace("\n", "; ")


def say(text: str) -> None:
    """Tell the person, beside what the command answers."""
    print(f"compiling: {text}", file=sys.stderr, flush=True)


def main(root: Path = ROOT) -> int:
    """Have the module; 0, or 1 with why not on stderr."""
    remove_outdated(root)
    if built(root).exists():
        return 0
    consequence = "services run in pure Python, at a higher cost a request (docs/overhead.md)"
    if lacking := [need for need in (COMPILER, PYTHON_HEADERS) if need.path() is None]:
        names = " and ".join(need.name for need in lacking)
        say(f"{names} missing: {consequence}. To have their request path compiled: {advice(lacking)}")
        return 1
    say("compiling the request path, which takes some seconds")
    try:
        compile_in_place(root)
    except CompilationError as error:
        say(f"it failed: {consequence}. What was said last:\n{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
