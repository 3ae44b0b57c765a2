"""What `web` reads from its environment, and the secret key it keeps for itself when none is given."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from observability.settings import PORT, SettingError, between, setting

SECRET_KEY_LENGTH = 32
"""Characters. A shorter key could be guessed, and with it a session be forged."""


def _web_address(value: str) -> str | None:
    parts = urlsplit(value)
    if parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment):
        return None
    return "give an http or https address such as http://127.0.0.1:5001"


def _long_enough(value: str) -> str | None:
    if len(value) >= SECRET_KEY_LENGTH:
        return None
    return f"give at least {SECRET_KEY_LENGTH} characters, or leave it unset to have one made and kept"


def _bearer(token: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        return None
    return "give letters, digits and . _ ~ + / - only, which is what a bearer token may hold (RFC 6750)"


@dataclass(frozen=True)
class Settings:
    """The settings of `web`. Times are in seconds."""

    host: str = setting("HOST", "127.0.0.1", help="The address on which the pages are served.")
    port: int = setting("PORT", 5000, help="The port on which the pages are served.", check=PORT)
    car_url: str = setting(
        "CAR_URL", "http://127.0.0.1:5001", help="Where `car` answers.", check=_web_address
    )
    car_timeout: float = setting(
        "CAR_TIMEOUT",
        5.0,
        help="Seconds that one question to `car` may take, its repetitions included.",
        check=between(0.05, 60),
    )
    orders_url: str = setting(
        "ORDERS_URL", "http://127.0.0.1:5002", help="Where `orders` answers.", check=_web_address
    )
    orders_timeout: float = setting(
        "ORDERS_TIMEOUT",
        10.0,
        help="Seconds that one question to `orders` may take, its repetitions included.",
        check=between(0.05, 60),
    )
    car_write_token: str | None = setting(
        "CAR_WRITE_TOKEN",
        None,
        help="The bearer token with which `car` accepts changes.",
        secret=True,
        check=_bearer,
    )
    secret_key: str | None = setting(
        "SECRET_KEY",
        None,
        help="Signs the session cookie and form tokens. Unset: one is made and kept in DASHCAM_STATE_DIR.",
        secret=True,
        check=_long_enough,
    )
    session_cookie_secure: bool = setting(
        "SESSION_COOKIE_SECURE",
        False,
        help="Send the session cookie over https only. Set it to true where the pages are served by https.",
    )
    console_url: str = setting(
        "CONSOLE_URL",
        "http://localhost:16686",
        help="Where a browser reaches the console; trace ids on pages link to {CONSOLE_URL}/trace/{id}.",
        check=_web_address,
    )
    browser_otlp_url: str | None = setting(
        "BROWSER_OTLP_URL",
        None,
        help="Where browsers reach OTLP/HTTP, such as http://localhost:4318, for the spans of the pages "
        "themselves; its CORS must list the origin of the pages. Unset: pages carry no telemetry.",
        check=_web_address,
    )
    state_dir: str = setting("DASHCAM_STATE_DIR", ".dashcam", help="The folder of everything that is kept.")


def secret_key(settings: Settings) -> str:
    """The key of sessions: the configured one, or a random one kept under the state folder (mode 0600).

    Workers that start at once agree on one key: a complete file is linked into place, and whoever comes
    second reads the first one's. Raises SettingError when the folder cannot be used.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    path = Path(settings.state_dir) / "web-secret-key"
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(48))
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"no secret key can be kept in {path}: {error}. "
            "Set SECRET_KEY, or make DASHCAM_STATE_DIR a folder that can be written."
        ) from error
    if len(key) < SECRET_KEY_LENGTH:
        raise SettingError(
            f"{path} holds no usable key. Delete it to have a new one made, or set SECRET_KEY."
        )
    return key


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        os.link(draft, path)
    except FileExistsError:
        pass  # another worker was first; its key counts
    finally:
        draft.unlink()
