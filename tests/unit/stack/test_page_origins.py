"""Whose pages the receiver of `make up` takes spans from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dashcam.stack.page_origins import page_origins
from dashcam.stack.settings import read


def test_pages_of_web_of_ones_own_programs_and_of_listed_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dashcam.toml"
    file.write_text(
        '[[programs]]\nname = "shop"\ncommand = "run"\nport = 5055\n'
        '[[programs]]\nname = "worker"\ncommand = "run"\n'
    )
    monkeypatch.setenv("OTLP_CORS_ORIGINS", "https://shop.test")
    settings = dataclasses.replace(read({"WEB_PORT": "5010"}), own_file=file)
    assert page_origins(settings) == (
        "https://shop.test",
        "http://127.0.0.1:5010",
        "http://localhost:5010",
        "http://127.0.0.1:5055",
        "http://localhost:5055",
    )
