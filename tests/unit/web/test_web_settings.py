"""What `web` reads from its environment, and the secret key that it keeps."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from observability.settings import SettingError, from_environ
from services.web.settings import Settings, secret_key


def test_the_defaults_are_those_of_a_laptop() -> None:
    settings = from_environ(Settings, {})
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.car_url == "http://127.0.0.1:5001"
    assert settings.console_url == "http://localhost:16686"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAR_URL", "car:5001"),
        ("CONSOLE_URL", "javascript:alert(1)"),
        ("CAR_TIMEOUT", "0"),
        ("SECRET_KEY", "short"),
        ("CAR_WRITE_TOKEN", "line\nbreak"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_a_remedy(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{name}=.*: give"):
        from_environ(Settings, {name: value})


def test_secrets_are_in_no_repr_and_no_message() -> None:
    settings = from_environ(Settings, {"SECRET_KEY": "s3cret" * 10, "CAR_WRITE_TOKEN": "t0ken"})
    assert "s3cret" not in repr(settings)
    assert "t0ken" not in repr(settings)
    with pytest.raises(SettingError) as caught:
        from_environ(Settings, {"SECRET_KEY": "s3cret"})
    assert "s3cret" not in str(caught.value)


def test_a_made_key_survives_a_restart_and_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path / "state"))
    key = secret_key(settings)
    assert len(key) >= 32
    assert secret_key(settings) == key
    (kept,) = (tmp_path / "state").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_workers_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: secret_key(settings), range(64)))
    assert len(keys) == 1
    assert len(list(tmp_path.iterdir())) == 1, "no draft is left behind"


def test_a_given_key_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    assert secret_key(Settings(secret_key="k" * 40, state_dir=str(tmp_path))) == "k" * 40
    assert not list(tmp_path.iterdir())


def test_a_state_folder_that_cannot_be_used_is_named_with_both_remedies(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="Set SECRET_KEY, or make DASHCAM_STATE_DIR"):
        secret_key(Settings(state_dir=str(tmp_path / "file" / "below")))


def test_a_damaged_key_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "web-secret-key").write_text("short")
    with pytest.raises(SettingError, match="Delete it"):
        secret_key(Settings(state_dir=str(tmp_path)))
