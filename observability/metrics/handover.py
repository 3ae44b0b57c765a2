"""How the workers of one service hand over what they counted: a file each, written when it is asked for.

Whoever connects to a worker's Unix socket gets one byte when the worker has written its snapshot beside it.
The file is also what is left of a worker that was killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from observability.metrics import merging
from observability.metrics.snapshot import EMPTY, Layout, Snapshot, decode, encode

_logger = logging.getLogger(__name__)

ANSWER_WITHIN = 1.0
"""Seconds the workers may take to write their snapshots; of one that takes longer the last one is used."""


class SnapshotServer:
    """Calls `write` for whoever connects to the Unix socket `path`, and says when it is done."""

    def __init__(self, path: Path, write: Callable[[], object]) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                write()
                self.request.sendall(b".")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """An owner that ended while it asked is no news."""

        self._path = path
        # Under its name only once it listens: who cannot connect to it takes this worker for gone.
        new = path.with_suffix(".new")
        self._server = Server(str(new), Handler)
        new.rename(path)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="snapshot", daemon=True
        )

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def forget(self) -> None:
        """Close what a forked process has inherited, and leave it to its parent."""
        self._server.socket.close()

    def stop(self) -> None:
        """Leave nothing behind."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(1.0)
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def alive(paths: Iterable[Path], within: float = ANSWER_WITHIN) -> list[Path]:
    """Ask all workers with these sockets to write, at the same time; answers the sockets of the living.

    A worker that is too busy to answer `within` seconds is alive too.
    """
    deadline = time.monotonic() + within
    found = []
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as waiting:
        for path in paths:
            connection = opened.enter_context(socket.socket(socket.AF_UNIX))
            connection.setblocking(False)
            try:
                connection.connect(str(path))
            except BlockingIOError:  # its queue of those who ask is full: it will not answer in time
                found.append(path)
            except OSError:
                continue
            else:
                found.append(path)
                waiting.register(connection, selectors.EVENT_READ)
        while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
            for answered, _ in waiting.select(left):
                waiting.unregister(answered.fileobj)
    return found


class Departed:
    """The sum of the workers that are gone, kept in the file `path`.

    Beside it stands which snapshots are in it: whoever is killed between writing the sum and deleting
    them leaves them to be deleted, not to be added again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.snapshot = EMPTY
        self._loaded = False

    def add(self, gone: Mapping[str, Snapshot | None]) -> Snapshot:
        """Add the last snapshots of workers that are gone (None: it cannot be read), and delete them.

        Return the new sum.
        """
        included = self._load()
        new = [last for name, last in gone.items() if name not in included and last is not None]
        if new:
            self.snapshot = merging.departed([self.snapshot, *new])
            names = " ".join(gone).encode()
            replace(self._path, names + b"\n" + encode(self.snapshot, self.snapshot.layout.encoded()))
        for name in gone:
            self._path.with_name(f"{name}.snapshot").unlink(missing_ok=True)
        return self.snapshot

    def _load(self) -> set[str]:
        """What an owner before this one left, once; answers the names of the workers in it."""
        if self._loaded:
            return set()
        self._loaded = True
        try:
            names, _, data = self._path.read_bytes().partition(b"\n")
            self.snapshot = decode(data, {})
        except FileNotFoundError:
            return set()
        except (OSError, ValueError) as error:
            _logger.warning("%s could not be read: %s", self._path, error)
            return set()
        return set(names.decode().split())


def read(path: Path, known: Mapping[str, Layout]) -> Snapshot | None:
    """The snapshot in `path`, or None where there is none that can be read."""
    try:
        return decode(path.read_bytes(), known)
    except (OSError, ValueError) as error:
        _logger.warning("%s could not be read: %s", path, error)
        return None


def replace(path: Path, content: bytes) -> None:
    """Replace `path` at once, so that nobody reads half of it."""
    try:
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        _logger.warning("%s could not be written: %s", path, error.strerror)
