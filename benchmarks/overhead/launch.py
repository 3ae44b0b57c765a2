"""`python -m benchmarks.overhead.launch SERVER VARIANT PORT THREADS`: one variant on one server."""

from __future__ import annotations

import os
import sys

from benchmarks.overhead.variants import named
from benchmarks.servers import launch
from benchmarks.servers.application import create_app as bare_app

FACTORY = "benchmarks.overhead.launch:create_app"
_VARIANT = "BENCH_VARIANT"


def create_app() -> object:
    """The application, built in the worker process as servers do."""
    return named(os.environ[_VARIANT]).build(bare_app())


def main() -> None:
    server, variant, port, threads = sys.argv[1:]
    os.environ[_VARIANT] = variant
    launch.APP = FACTORY
    launch.create_app = create_app  # type: ignore[assignment] # the same launchers, another application
    launch.LAUNCHERS[server](int(port), int(threads))


if __name__ == "__main__":
    main()
