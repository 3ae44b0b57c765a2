"""What settings that are addresses may hold."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def database_url(text: str) -> str:
    """The SQLAlchemy address that `text` means. Raises ValueError with the remedy."""
    for prefix, url in (("postgresql+psycopg://", 0), ("postgresql://", 1), ("postgres://", 1)):
        if text.startswith(prefix):
            return "postgresql+psycopg://" + text.removeprefix(prefix) if url else text
    if text.startswith("sqlite:///") and text.removeprefix("sqlite:///").strip("/") not in ("", ":memory:"):
        return text
    raise ValueError("give sqlite:///path/of/the/file or postgresql://user:password@host:5432/name")


def http_url(url: str) -> str | None:
    """The remedy where `url` is no address of a service; None where it is one."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment:
        return None
    return "give an address such as http://127.0.0.1:8000"


def broker_url(urls: str) -> str | None:
    """The remedy where `urls` are no addresses of NATS servers, separated by commas; None where they are."""
    servers = [urlsplit(url) for url in urls.split(",")]
    if all(parts.scheme in ("nats", "tls") and parts.hostname for parts in servers):
        return None
    return "give an address such as nats://127.0.0.1:4222, or several separated by commas"


def bearer(token: str) -> str | None:
    """The remedy where `token` can be no bearer token; None where it can."""
    if re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        return None
    return "give letters, digits and . _ ~ + / - only, which is what a bearer token may hold (RFC 6750)"
