"""The usual way of a request as native code, where it was compiled; `_speedups.pyx` is its source.

An accelerator in the sense of PEP 399: what it does not know it leaves to the Python code, and without it
everything is the same at a higher cost (docs/overhead.md). `make up` and the images compile it where there is
a C compiler; DASHCAM_INSTRUMENTATION=python leaves it alone.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.http.incoming import Incoming, Parts, Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Around = Callable[..., Any]


def available() -> bool:
    """Whether it was compiled, for this Python and from the source that is here."""
    if sysconfig.get_config_var("Py_GIL_DISABLED") or sys.byteorder != "little":
        return False  # it relies upon that lock, and writes numbers as they are in memory
    found = importlib.util.find_spec("observability.http._speedups")
    return found is not None and current(Path(found.origin or ""), Path(__file__).with_name("_speedups.pyx"))


def current(compiled: Path, source: Path) -> bool:
    """Whether `compiled` is no older than `source`; an image has no source."""
    return not source.exists() or compiled.stat().st_mtime >= source.stat().st_mtime


def incoming() -> tuple[Callable[[WSGIApplication, Parts], Any], Around, Around]:
    """`Incoming`, `dispatched` and `torn_down` of `incoming`, compiled. Raises ImportError."""
    from observability.http import _speedups

    class Compiled(_speedups.Way, Request):
        """A request of which the usual steps are native."""

        __slots__ = ()

    def layer(application: WSGIApplication, parts: Parts) -> Any:
        return _speedups.Incoming(application, parts, Compiled, Incoming(application, parts))

    return layer, _speedups.dispatched, _speedups.torn_down
