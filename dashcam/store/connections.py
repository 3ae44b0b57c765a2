"""What a port lets its clients hold: waitress with deadlines, a bound on connections and one on bodies.

waitress reads heads and bodies in one thread, whatever their number, but lets a client take all the time it
wants for either, refuses new clients while others sit idle, and keeps any number of bodies in memory. Here

- a head must be whole within HEAD_SECONDS of its first byte and a request within UPLOAD_SECONDS: 408;
- where CONNECTIONS are open, the one that is idle longest gives way to a new one, or else the one whose
  request is being received longest;
- where the bodies that are held take more than `body_bytes`, the one being received longest gets a 503;
- an answer that its client does not read is dropped after UNREAD_SECONDS;
- `/livez`, `/readyz` and refusals have a thread of their own.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import BadRequest, Error

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
UPLOAD_SECONDS = 60.0
IDLE_SECONDS = 120.0
UNREAD_SECONDS = 30.0
CONNECTIONS = 512
BODY_BYTES = 64 * 1024 * 1024
MAX_HEAD = 64 * 1024
HEALTH = frozenset({"/livez", "/readyz"})

_MAX_CHUNK_LINE = 4096


class _Late(Error):
    code, reason = 408, "Request Timeout"


class _Busy(Error):
    code, reason = 503, "Service Unavailable"


class _Dispatcher(ThreadedTaskDispatcher):
    """The threads that answer, and one more for what takes no time: questions about health, and refusals."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self._health = ThreadedTaskDispatcher()
        self.set_thread_count(threads)
        self._health.set_thread_count(1)

    def add_task(self, channel: Any) -> None:
        request = channel.requests[0]
        if request.error or request.path in HEALTH:
            self._health.add_task(channel)
        else:
            super().add_task(channel)

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self._health.shutdown(cancel_pending, 1)
        return bool(super().shutdown(cancel_pending, round(timeout)))


class _Channel(HTTPChannel):
    """One connection. `began` is when its unfinished request did, `held` the bytes of bodies it holds."""

    server: Server
    requests: Any
    request: Any
    requests_lock: Any
    began = 0.0
    held = 0

    def received(self, data: bytes) -> Any:
        before = self.request
        result = super().received(data)
        if self.request is not before:
            self.began = time.time()
        receiver = getattr(self.request, "body_rcv", None)
        if len(getattr(receiver, "control_line", b"")) > _MAX_CHUNK_LINE:
            self.refuse(BadRequest("a chunk's first line is too long"))
        if len(getattr(receiver, "trailer", b"")) > MAX_HEAD:
            self.refuse(BadRequest("the trailer is too long"))
        self._account()
        self.server.shed()
        return result

    def service(self) -> None:
        super().service()
        self._account()

    def handle_close(self) -> None:
        super().handle_close()
        self.server.account(self, 0)

    def refuse(self, error: Error) -> None:
        """Answer the request that is being received with an error, and close.

        Only the thread that receives may call it.
        """
        with self.requests_lock:
            request, self.request = self.request, None
            answered = request is not None and not self.requests
            if request is not None and answered:
                self._spoil(request, error)
                self.requests.append(request)
            else:
                self.will_close = True
        self._account()
        if answered:
            self.server.task_dispatcher.add_task(self)  # type: ignore[arg-type]

    @staticmethod
    def _spoil(request: HTTPRequestParser, error: Error) -> None:
        """Let a request that is being received be one that ends in `error`."""
        if not request.headers_finished:
            request.parse_header(b"GET / HTTP/1.0\r\n")
        request.error, request.completed, request.body_bytes_received = error, True, 0
        if request.body_rcv is not None:
            request.body_rcv.getbuf().close()
            request.body_rcv = None

    def overdue(self, now: float) -> None:
        """Close, or refuse, what takes too long."""
        quiet = now - self.last_activity
        if self.total_outbufs_len:
            if quiet > UNREAD_SECONDS:
                self.handle_close()
        elif self.requests:
            return
        elif self.request is None:
            if quiet > IDLE_SECONDS:
                self.handle_close()
        elif now - self.began > UPLOAD_SECONDS:
            self.refuse(_Late(f"the request is not whole after {UPLOAD_SECONDS:g} s"))
        elif not self.request.headers_finished and now - self.began > HEAD_SECONDS:
            self.refuse(_Late(f"the head is not whole after {HEAD_SECONDS:g} s"))

    @property
    def idle(self) -> bool:
        return not self.requests and self.request is None and not self.total_outbufs_len

    def _account(self) -> None:
        with self.requests_lock:
            requests = [*self.requests, *([self.request] if self.request else [])]
            self.server.account(self, sum(one.body_bytes_received for one in requests))


class Server(TcpWSGIServer):
    """A listening socket and its connections; run() them in one thread."""

    channel_class = _Channel
    active_channels: Any
    effective_port: int

    def __init__(
        self, application: Any, *, host: str, port: int, threads: int, max_body: int, body_bytes: int
    ) -> None:
        self._body_bytes = body_bytes
        self._held = 0
        self._accounts = threading.Lock()
        adjustments = Adjustments(
            host=host,
            port=port,
            max_request_body_size=max_body,
            max_request_header_size=MAX_HEAD,
            inbuf_overflow=max_body,  # bodies are bounded in sum
            outbuf_overflow=64 * 1024,  # answers that wait for their readers lie on disk
            connection_limit=2**31,  # ours closes what is idle instead of leaving new ones unheard
            cleanup_interval=1,
            asyncore_use_poll=True,  # select() ends at descriptor 1,023
            log_socket_errors=False,
            ident="",
            clear_untrusted_proxy_headers=True,
        )
        dispatcher = _Dispatcher(threads)
        try:
            super().__init__(application, dispatcher=dispatcher, adj=adjustments)
        except OSError:  # the port is taken: nothing of it stays behind
            dispatcher.shutdown(timeout=0)
            self.close()
            raise

    @property
    def held(self) -> int:
        """Bytes of bodies in memory."""
        return self._held

    def account(self, channel: _Channel, held: int) -> None:
        """Note what a connection holds now."""
        with self._accounts:
            held = held if channel.connected else 0
            self._held += held - channel.held
            channel.held = held

    def shed(self) -> None:
        """Refuse uploads, the one that takes longest first, until the bodies fit."""
        while self._held > self._body_bytes:
            uploads = [one for one in self._channels() if one.request is not None and one.held]
            if not uploads:
                return  # all are whole: their number is that of the connections, and threads take them
            oldest = min(uploads, key=lambda one: one.began)
            log.info("an upload of %d bytes gives way: %d bytes are held", oldest.held, self._held)
            oldest.refuse(_Busy("too many bytes are being received; try again"))

    def maintenance(self, now: float) -> None:
        for channel in self._channels():
            channel.overdue(now)

    def handle_accept(self) -> None:
        gives_way = self._missed_least() if len(self.active_channels) >= CONNECTIONS else None
        super().handle_accept()
        # Not before: the new connection would have its descriptor, and take what was reported of the old one.
        if gives_way is not None:
            gives_way.handle_close()

    def accept(self) -> Any:
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            log.warning("no descriptor is left for a connection: %s", error)
            if gives_way := self._missed_least():
                gives_way.handle_close()
            else:
                time.sleep(0.05)  # the connection stays in the backlog and would be tried again at once
            return None

    def _missed_least(self) -> _Channel | None:
        """The connection to close first; None where every one has a request under way."""
        channels = self._channels()
        waiting = [one for one in channels if one.idle]
        slow = [one for one in channels if one.request is not None and not one.requests]
        if waiting:
            return min(waiting, key=lambda one: one.last_activity)
        return min(slow, key=lambda one: one.began, default=None)

    def _channels(self) -> list[_Channel]:
        return list(self.active_channels.values())
