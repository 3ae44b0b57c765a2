"""Clients that send a request's body slower than anybody who means well, a few of them and no more."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

AGENT = "slow-uploader/1.0"
LENGTH = 100_000
"""Bytes that each promises."""
PAUSE = 1.0
"""Seconds between two bytes."""
MOST = 64


@contextmanager
def sending(url: str, count: int, token: str | None = None) -> Iterator[None]:
    """`count` clients that POST to `url` a byte at a time while the block lasts; who is cut off comes back.

    `token` is the bearer token of a service that asks for one. Raises ValueError for more than MOST.
    """
    if not 0 < count <= MOST:
        raise ValueError(f"{count} slow clients cannot be made: give 1 to {MOST}")
    over = threading.Event()
    sender = threading.Thread(target=_send, args=(url, count, token, over), name="slow-clients", daemon=True)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def _send(url: str, count: int, token: str | None, over: threading.Event) -> None:
    target = urlsplit(url)
    address = target.hostname or "", target.port or 80
    lines = [f"POST {target.path} HTTP/1.1", f"Host: {target.netloc}", f"User-Agent: {AGENT}"]
    lines += ["Content-Type: application/json", f"Content-Length: {LENGTH}"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    head = "\r\n".join([*lines, "", ""]).encode()
    clients: list[socket.socket | None] = [None] * count
    while not over.wait(PAUSE):
        clients = [_next_byte(client) or _connected(address, head) for client in clients]
    for client in clients:
        if client is not None:
            client.close()


def _connected(address: tuple[str, int], head: bytes) -> socket.socket | None:
    try:
        client = socket.create_connection(address, timeout=1)
        client.sendall(head)
    except OSError:
        return None  # tried again at the next byte
    client.setblocking(False)
    return client


def _next_byte(client: socket.socket | None) -> socket.socket | None:
    """The client, one byte further; None where the server has answered it, and has so given it up."""
    if client is None:
        return None
    try:
        client.recv(4096)
    except BlockingIOError:  # neither an answer nor the end: it is still waited for
        with contextlib.suppress(OSError):
            client.send(b" ")
            return client
    except OSError:
        pass
    client.close()
    return None
