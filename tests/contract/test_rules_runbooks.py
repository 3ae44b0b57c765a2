"""Every alert has its runbook, every runbook its alert, and what a runbook tells one to type can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from ruleset import RUNBOOKS, alert_names, alerts, assert_promql_parses, recorded

from dashboards.src import promql
from dashcam.cli.main import main

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.stem != "README")
SECTIONS = ["## What it means", "## Confirm", "## What to do"]


def _commands(page: Path) -> list[list[str]]:
    """The `dashcam` commands of a page, in code blocks and in sentences, as argument lists."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`(dashcam [^`]+)`", text)
    return [shlex.split(line)[1:] for line in [*lines, *inline] if line.startswith("dashcam ")]


def _queries(page: Path) -> list[str]:
    return [command[1] for command in _commands(page) if command[0] == "metrics"]


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert {path.stem for path in PAGES} == set(alert_names())


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_the_address_of_the_runbook_ends_in_the_name_of_the_alert(alert: dict[str, dict[str, str]]) -> None:
    address = alert["annotations"]["runbook_url"]
    assert address == f"{{{{ with $externalLabels.runbooks }}}}{{{{ . }}}}/{alert['alert']}{{{{ end }}}}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_how_to_confirm_it_and_what_to_do(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    severity = next(alert["labels"]["severity"] for alert in alerts() if alert["alert"] == page.stem)
    assert text.startswith(f"# {page.stem}\n\n**{severity}** · "), "the head names the alert and its severity"
    assert re.findall(r"^## .*$", text, re.MULTILINE) == SECTIONS
    confirm = text.split("## Confirm")[1].split("## What to do")[0]
    for signal in ("Metrics", "Traces", "Logs"):
        assert re.search(signal, confirm, re.IGNORECASE), f"{signal} are not looked at"
    assert "dashcam metrics '" in confirm
    assert "kubectl" in confirm or "In a cluster" in confirm


@pytest.mark.parametrize("page", [*PAGES, RUNBOOKS / "README.md"], ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_are_the_command_line_s_own(page: Path) -> None:
    for arguments in _commands(page):
        name, *rest = arguments
        command = main.get_command(click.Context(main), name)
        assert command, f"there is no `dashcam {name}`"
        command.make_context(name, rest)  # raises UsageError for an option that does not exist


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_queries_of_a_runbook_are_promql_over_declared_metrics(page: Path, tmp_path: Path) -> None:
    queries = _queries(page)
    assert queries
    assert_promql_parses(queries, tmp_path)
    assert {query: names for query in queries if (names := promql.undeclared(query, recorded()))} == {}


def test_the_runbooks_name_only_alerts_that_exist() -> None:
    """A page points to others by name; a renamed alert would leave it pointing nowhere."""
    ours = re.compile(r"\b(?:[A-Z][a-z]+){2,}\b")
    known = set(alert_names())
    looks_like = {
        word
        for page in PAGES
        for word in ours.findall(re.sub(r"`[^`]*`|```.*?```", "", page.read_text(), flags=re.DOTALL))
    }
    kinds = {"NetworkPolicy", "ConfigMap", "StatefulSet", "DaemonSet", "CronJob"}
    not_alerts = {*kinds, "PostgreSQL", "CrashLoopBackOff"}
    assert looks_like - known - not_alerts == set()
