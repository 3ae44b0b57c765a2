"""docs/configuration.md is what the code declares."""

from __future__ import annotations

from exampleservices import SERVICES

from docs import configuration_page


def test_the_page_is_the_generated_one() -> None:
    assert configuration_page.PAGE.read_text(encoding="utf-8") == configuration_page.page(), (
        "docs/configuration.md is out of date: run `make docs-configuration`"
    )


def test_the_settings_of_every_service_are_found() -> None:
    found = {f"{cls.__module__}.{cls.__qualname__}" for cls in configuration_page.declared()}
    assert {
        "observability.configuration.TelemetrySettings",
        *(f"services.{name}.settings.Settings" for name in SERVICES),
    } <= found


def test_every_setting_has_a_meaning() -> None:
    for row in configuration_page.page().splitlines():
        if row.startswith("| `"):
            assert row.count("|") >= 4
            assert row.rstrip(" |").endswith("."), row
