"""Whether a part works, asked over its own interface, and the last lines of its logs when it does not."""

from __future__ import annotations

import http.client
import socket
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from dashcam.stack.programs import LOOPBACK, Program

PROBE_SECONDS = 2.0


def why_not_ready(program: Program) -> str | None:
    """None when `program` answers 200 on its readiness URL and takes connections on its ports, else why not.

    Each question is given PROBE_SECONDS.
    """
    if program.ready and (reason := _not_200(program.ready)):
        return reason
    return next((reason for port in program.listens if (reason := _refused(port))), None)


def _not_200(url: str) -> str | None:
    target = urlsplit(url)
    # http.client rather than a library that would take a proxy from the environment.
    connection = http.client.HTTPConnection(target.netloc, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", target.path)
        response = connection.getresponse()
        said = response.read(400).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer ({error or type(error).__name__})"
    finally:
        connection.close()
    return None if response.status == 200 else f"{url} answers {response.status}: {said}"


def _refused(port: int) -> str | None:
    try:
        socket.create_connection((LOOPBACK, port), PROBE_SECONDS).close()
    except OSError as error:
        return f"{LOOPBACK}:{port} accepts no connection ({error})"
    return None


def ask_all(programs: Sequence[Program]) -> dict[str, str | None]:
    """`why_not_ready` of each by name, asked at the same time, so that one that hangs delays no other."""
    if not programs:
        return {}
    with ThreadPoolExecutor(max_workers=len(programs)) as pool:
        return dict(zip((p.name for p in programs), pool.map(why_not_ready, programs), strict=True))


def last_lines(logs: Path, name: str, since: float, count: int = 15) -> str:
    """The end of what a program wrote to stderr and to stdout, each under its file's name.

    A file that has not grown since `since` (epoch seconds) is of an earlier run and left out.
    """
    shown = []
    for path in (logs / f"{name}.stderr", logs / f"{name}.log"):
        if path.exists() and path.stat().st_mtime >= since - 1:
            with path.open(errors="replace") as file:
                lines = deque(file, maxlen=count)
            if lines:
                shown.append(f"--- {path}\n{''.join(lines).rstrip()}")
    return "\n".join(shown) or f"(it wrote nothing to {logs})"
