"""waitress in a thread, for a process that has more to do than to serve HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import waitress.server


class HttpServer:
    """A WSGI server on a loopback port. `port` is the one it got, also where 0 was asked for."""

    def __init__(
        self, app: Callable[..., Any], *, host: str, port: int, threads: int, max_body: int = 1024 * 1024
    ) -> None:
        """Listens at once, answers after start(). Raises OSError where the port is taken."""
        server: Any = waitress.server.create_server(
            app,
            host=host,
            port=port,
            threads=threads,
            max_request_body_size=max_body,
            inbuf_overflow=max_body,
            ident="",
            clear_untrusted_proxy_headers=True,
        )
        self._server = server
        self.port = int(server.effective_port)  # one loopback address makes one socket
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Answer requests."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Take no more requests and wait up to `grace` seconds for those under way."""
        self._stopping = True
        self._server.task_dispatcher.shutdown(cancel_pending=False, timeout=grace)
        # The loop sleeps in select(): the trigger wakes it, and closing in its own thread ends it.
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
