"""Prometheus or Alertmanager behind the guard of the Host header: `python -m dashcam.stack.guarded_program`.

    guarded_program --listen 127.0.0.1:9093 -- alertmanager --config.file=…

Both answer to any Host, and Alertmanager's API allows every origin, without a flag against it: any web page
could read and write silences. So the program itself listens on a port of its own under a path that nobody
can guess (`--web.route-prefix`), and what listens where it used to passes on what HostGuard lets
through, and no `Access-Control-*` header. It ends with the program, and the program with it.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import urllib3

from dashcam.host_guard import HostGuard
from dashcam.stack.ports import LOOPBACK, free_port
from dashcam.store.http_server import HttpServer

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANSWER_SECONDS = 130.0
"""Longer than Prometheus lets a query take (`--query.timeout`, two minutes)."""
MAX_BODY = 16 * 1024 * 1024
_THREADS = 16
_GRACE_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>: the signal that a process gets when its parent has ended."""
_CHUNK = 64 * 1024
_OWN = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "date", "server"),
    )
)
"""Headers of one connection, and what the server writes itself."""


class Relay:
    """WSGI: passes requests on to `address`, and the answers without permission for other origins."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._http = urllib3.PoolManager(
            maxsize=_THREADS, retries=False, timeout=urllib3.Timeout(connect=2.0, read=ANSWER_SECONDS)
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        target = environ["REQUEST_URI"]  # as it came: a label's value may hold a %2F
        if not target.startswith("/"):
            return _plain(start_response, "400 Bad Request", f"{target[:100]!r} is no path")
        try:
            answer = self._http.request(
                environ["REQUEST_METHOD"],
                self._address + target,
                body=environ["wsgi.input"].read(size) if size else None,
                headers=_asked(environ),
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as error:
            # Its text names the path that nobody shall know.
            return _plain(start_response, "502 Bad Gateway", f"it does not answer: {type(error).__name__}")
        start_response(f"{answer.status} {answer.reason or ''}", _answered(answer.headers))
        return _body(answer)


def _plain(start_response: StartResponse, status: str, text: str) -> list[bytes]:
    body = f"{text}\n".encode()
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _asked(environ: WSGIEnvironment) -> dict[str, str]:
    named = {
        name[5:].replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        named["Content-Type"] = environ["CONTENT_TYPE"]
    # Without an origin, none is allowed.
    return {
        name: value
        for name, value in named.items()
        if name.lower() not in {*_OWN, "origin", "content-length"}
    }


def _answered(headers: Any) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in headers.items()
        if name.lower() not in _OWN and not name.lower().startswith("access-control-")
    ]


def _body(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(_CHUNK, decode_content=False)
    finally:
        answer.release_conn()


def guarded(application: WSGIApplication, host: str, port: int) -> HttpServer:
    """The server before the program."""
    return HttpServer(HostGuard(application, host), host=host, port=port, threads=_THREADS, max_body=MAX_BODY)


def _dies_with_its_parent() -> Callable[[], object] | None:
    """What makes the program end also where this one is killed with kill -9; None where only Linux could."""
    if sys.platform != "linux":
        return None
    return functools.partial(ctypes.CDLL(None).prctl, _PR_SET_PDEATHSIG, signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Run the program until it ends or a signal comes; its status, 2 for a port that cannot be used."""
    parser = argparse.ArgumentParser(prog="guarded_program", description=__doc__)
    parser.add_argument("--listen", required=True, help="HOST:PORT")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    host, _, port = given.listen.rpartition(":")
    inner, prefix = f"{LOOPBACK}:{free_port()}", f"/{secrets.token_urlsafe(24)}"
    try:
        server = guarded(Relay(f"http://{inner}{prefix}"), host, int(port))
    except OSError as error:
        print(f"{given.listen}: {error}", file=sys.stderr)
        return 2
    program = subprocess.Popen(  # noqa: S603 - the command is ours, see programs.py
        [*given.command, f"--web.listen-address={inner}", f"--web.route-prefix={prefix}"],
        preexec_fn=_dies_with_its_parent(),  # noqa: PLW1509 - one call of libc, which was looked up before
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: program.terminate())
    server.start()
    status = program.wait()
    server.stop(_GRACE_SECONDS)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
