"""Which names a port answers to: the guard against DNS rebinding of every port that Dashcam's programs open.

A page from elsewhere can point a name of its own at 127.0.0.1 and is then, to the browser, of the same origin
as whatever listens there. Its requests carry that name in `Host`, and by that they are refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from observability.http.framing import host_mistake
from observability.settings import setting

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def further_names() -> Any:
    """The setting that names what else a port answers to: declared by each program's own settings."""
    return setting(
        "DASHCAM_ALLOWED_HOSTS",
        (),
        parse=lambda text: tuple(name.strip() for name in text.split(",") if name.strip()),
        help="Names, by comma, that the console and the receiver answer to beside those of this machine.",
    )


class HostGuard:
    """WSGI middleware: 421 for a request whose Host is not one of this machine's names.

    Those are `localhost` and loopback addresses, `further` names, and, where `bound` is no loopback
    address, every IP address: it was opened to other machines, and an address cannot be rebound.
    No Host, several, or what is none are a 400; without one, only HTTP/1.0 passes, which no browser speaks.
    """

    def __init__(self, application: WSGIApplication, bound: str, further: Collection[str] = ()) -> None:
        self._application = application
        self._addresses = not is_local(f"[{bound}]" if ":" in bound else bound)
        self._further = frozenset(name.lower().rstrip(".") for name in further)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST")
        if wrong := host_mistake(host, environ.get("SERVER_PROTOCOL")):
            return _refused(start_response, "400 Bad Request", wrong)
        if not host or self._answers(host):
            return self._application(environ, start_response)
        remedy = "use http://localhost, or name it in DASHCAM_ALLOWED_HOSTS"
        said = f"Host {host[:100]!r} is not this machine: {remedy}"
        return _refused(start_response, "421 Misdirected Request", said)

    def _answers(self, host: str) -> bool:
        return is_local(host) or name_of(host) in self._further or (self._addresses and _address(host))


def _refused(start_response: StartResponse, status: str, why: str) -> list[bytes]:
    body = f"{why}\n".encode()
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


def name_of(host: str) -> str:
    """The name or address in a Host header, without port, brackets and the root's dot."""
    name = host.rpartition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]
    return name.lower().rstrip(".")


def is_local(host: str) -> bool:
    """Whether a Host header names this machine: localhost, a loopback address, with or without a port."""
    name = name_of(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(name_of(host))
    except ValueError:
        return False
    return True
