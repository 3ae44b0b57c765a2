"""The settings of `car`: what is taken, and how a bad one is refused."""

from __future__ import annotations

import pytest

from observability.settings import SettingError, from_environ
from services.car.settings import Settings


def test_the_default_database_is_a_file_in_the_state_folder() -> None:
    assert from_environ(Settings, {}).database == "sqlite:///.dashcam/car.sqlite3"
    assert (
        from_environ(Settings, {"DASHCAM_STATE_DIR": "/var/lib/x"}).database
        == "sqlite:////var/lib/x/car.sqlite3"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_the_driver_that_is_installed(scheme: str) -> None:
    settings = from_environ(Settings, {"DATABASE_URL": f"{scheme}://u:p@db:5432/cars"})
    assert settings.database == "postgresql+psycopg://u:p@db:5432/cars"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "mysql://u:p@db/cars"),
        ("DATABASE_URL", "cars.db"),
        ("MINUS_URL", "minus:8000"),
        ("MINUS_URL", "ftp://minus"),
        ("MINUS_URL", "http://"),
        ("MINUS_URL", "http://minus?x=1"),
        ("MINUS_TIMEOUT", "0"),
        ("MINUS_ATTEMPTS", "0"),
        ("CAR_WRITE_TOKEN", "two words"),
        ("CAR_WRITE_TOKEN", "geheim-ä"),
        ("CAR_MAX_BODY", "12"),
        ("PORT", "70000"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        from_environ(Settings, {name: value})


def test_secrets_are_in_no_message_and_no_repr() -> None:
    with pytest.raises(SettingError) as refused:
        from_environ(Settings, {"DATABASE_URL": "mysql://user:hunter2@db/cars"})
    assert "hunter2" not in str(refused.value)
    settings = from_environ(
        Settings, {"DATABASE_URL": "postgresql://u:hunter2@db/c", "CAR_WRITE_TOKEN": "hunter2"}
    )
    assert "hunter2" not in repr(settings)
