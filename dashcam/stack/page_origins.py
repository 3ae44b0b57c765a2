"""Whose pages may send spans from the browser: of `web`, of a dashcam.toml's programs, of listed origins."""

from __future__ import annotations

from dashcam.stack import own_file
from dashcam.stack.settings import Settings
from dashcam.store.settings import LocalSettings
from observability.settings import from_environ

HOSTS = ("127.0.0.1", "localhost")
"""Both are typed; to a browser they are two origins."""


def page_origins(settings: Settings) -> tuple[str, ...]:
    """The origins that the receiver of OTLP is to accept. Raises BadFile for a bad dashcam.toml."""
    own = own_file.read_file(settings.own_file).programs if settings.own_file else ()
    ports = [settings.port("web"), *(program.port for program in own if program.port)]
    listed = from_environ(LocalSettings).cors_origins
    return tuple(dict.fromkeys([*listed, *(f"http://{host}:{port}" for port in ports for host in HOSTS)]))
