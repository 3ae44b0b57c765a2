"""An HTTP server in a thread, for a process that has more to do than to serve HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dashcam.store.connections import BODY_BYTES, Server


class HttpServer:
    """A WSGI server on a loopback port. `port` is the one it got, also where 0 was asked for.

    What clients may hold of it is said in :mod:`dashcam.store.connections`.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        host: str,
        port: int,
        threads: int,
        max_body: int = 1024 * 1024,
        body_bytes: int = BODY_BYTES,
    ) -> None:
        """Listens at once, answers after start(). Raises OSError where the port is taken."""
        self._server: Any = Server(
            app,
            host=host,
            port=port,
            threads=threads,
            max_body=max_body,
            body_bytes=max(body_bytes, 2 * max_body),
        )
        self.port = int(self._server.effective_port)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread that hears the port runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Answer requests."""
        self._thread.start()

    def run(self) -> None:
        """Answer requests in this thread, until it is interrupted."""
        self._server.run()

    def stop(self, grace: float) -> None:
        """Take no more requests and wait up to `grace` seconds for those under way."""
        self._stopping = True
        self._server.task_dispatcher.shutdown(cancel_pending=False, timeout=grace)
        # The loop sleeps in poll(): the trigger wakes it, and closing in its own thread ends it.
        self._server.trigger.pull_trigger(self._close)
        self._thread.join(grace)

    def _close(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()

    def _run(self) -> None:
        try:
            self._server.run()
        except OSError:
            if not self._stopping:  # closing its sockets is what ends the loop
                raise
