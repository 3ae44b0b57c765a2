"""`make record-expositions NAMES="collector node-exporter"`: record again, all of them or some."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dashboards.tests.recorder import carriers, cluster, nodes, search, workloads
from dashboards.tests.recorder.page import FOLDER, Page

RECORDERS: dict[str, Callable[[Path], Iterator[Page]]] = {
    "carriers": carriers.pages,
    "cluster": cluster.pages,
    "nodes": nodes.pages,
    "search": search.pages,
    "workloads": workloads.pages,
}


def main(names: list[str]) -> int:
    """Record the named groups, or all; 2 for a name that there is not."""
    if unknown := [name for name in names if name not in RECORDERS]:
        print(
            f"there is nothing to record called {', '.join(unknown)}: {', '.join(RECORDERS)}", file=sys.stderr
        )
        return 2
    for name in names or RECORDERS:
        with tempfile.TemporaryDirectory(prefix="dashcam-recorder-") as folder:
            for page in RECORDERS[name](Path(folder)):
                print(f"wrote {page.write().relative_to(FOLDER.parents[2])}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
