"""`dashcam --context` points the commands at a cluster's sources, with the reader's password."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import click
import pytest

from observability.cluster.kubectl import Kubectl
from observability.cluster.reading import environment, point_at
from observability.settings import from_environ
from observability.sources.settings import SourceSettings


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kubectl that knows one Secret, and an environment that the test may change."""
    data = {"data": {"grafana": base64.b64encode(b"pass:word").decode()}}
    program = tmp_path / "kubectl"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(data)}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(os, "environ", {"PATH": f"{tmp_path}:/usr/bin:/bin"})


@pytest.mark.usefixtures("secret")
def test_the_lines_are_read_from_elasticsearch_by_its_reader() -> None:
    settings = from_environ(SourceSettings, environment(Kubectl("x")))
    assert (settings.logs_kind, settings.logs_address) == ("elasticsearch", "http://127.0.0.1:9200")
    scheme, _, token = (settings.logs_authorization or "").partition(" ")
    assert (scheme, base64.b64decode(token)) == ("Basic", b"grafana:pass:word")


@pytest.mark.usefixtures("secret")
def test_a_variable_that_is_set_wins() -> None:
    os.environ["LOGS_URL"] = "https://elsewhere:9200"
    point_at("x")
    assert os.environ["LOGS_URL"] == "https://elsewhere:9200"
    assert os.environ["LOGS_KIND"] == "elasticsearch"


def test_no_cluster_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match="kubectl is not on PATH"):
        point_at("x")
