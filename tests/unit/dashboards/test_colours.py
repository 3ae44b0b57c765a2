"""Colours by meaning: a service has the console's colour, and what is served has what is promised."""

from __future__ import annotations

import re

import pytest
from ruleset import ROOT

from dashboards.src import colours
from dashboards.src.scope import scoped
from dashboards.src.slos import load
from dashcam.console import filters

STYLE = (ROOT / "dashcam/console/static/console.css").read_text()


def test_the_palette_is_the_console_s_on_light_paper() -> None:
    light = STYLE.split("}", 1)[0]
    listed = dict(re.findall(r"--c(\d+): (#[0-9a-f]{6});", light))
    assert [listed[str(n)] for n in range(len(listed))] == list(colours.PALETTE)


def test_a_service_has_the_console_s_colour() -> None:
    names = [*load().depends_on, "checkout", "mailer", "search"]
    numbers = filters.colours(names)
    assert colours.of_services(names) == {name: colours.PALETTE[n] for name, n in numbers.items()}


def test_more_services_than_colours_still_have_one_each() -> None:
    names = [f"service-{n}" for n in range(20)]
    assert set(colours.of_services(names)) == set(names)


@pytest.mark.parametrize(
    ("legend", "patterns"),
    [
        ("{{job}} {{severity}}", ["DEBUG|TRACE", "INFO", "WARN", "ERROR", "FATAL"]),
        ("{{job}} refused", ["failed|refused|dropped|errors|given up|queue full"]),
        ("{{http_route}}", []),
        ("p99", []),
    ],
)
def test_a_legend_says_which_meanings_its_names_can_have(legend: str, patterns: list[str]) -> None:
    assert [each.pattern for each in colours.of(legend)] == patterns


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("sum(rate(up[1m]))", 'sum(rate(up{cluster=~"$cluster",namespace=~"$namespace"}[1m]))'),
        ('up{job="up"} == 1', 'up{job="up",cluster=~"$cluster",namespace=~"$namespace"} == 1'),
        ("slo:x:ratio", 'slo:x:ratio{cluster=~"$cluster"}'),
        ('up{namespace=~"$namespace"}', 'up{namespace=~"$namespace",cluster=~"$cluster"}'),
        ("time() - 1", "time() - 1"),
    ],
)
def test_every_selector_is_chosen_by_the_variables_once(expression: str, wanted: str) -> None:
    assert scoped(expression) == wanted
