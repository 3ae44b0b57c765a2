"""Command lines of the commands that only read: the options that they have, and values that nobody types."""

from __future__ import annotations

import click
from hypothesis import strategies as st

from dashcam.cli.main import COMMANDS, main

READING = ("alerts", "diagnose", "logs", "metrics", "services", "slo", "trace", "traces")
ENDLESS = {"--follow", "--watch", "-f"}
VALUES = [
    "",
    "0",
    "-1",
    "1h",
    "10m ago",
    "nan",
    "9" * 50,
    "now",
    "2026-02-30",
    "car",
    "ü\n\x1b[31m",
    "up{",
    "--",
    "a" * 5000,
]
VALUES += [
    "{}",
    "0123456789abcdef0123456789abcdef",
    "car:/cars",
    "level=ERROR",
    "1e400",
    "2026-11-22T15:06:40Z",
    "-",
]


def command_lines(name: str) -> st.SearchStrategy[list[str]]:
    """The command with some of its options, each with a value, and arguments."""
    command = main.get_command(click.Context(main), name)
    assert command is not None
    value = st.sampled_from(VALUES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    given = [
        st.just([option.opts[0]]) if option.is_flag else st.tuples(st.just(option.opts[0]), value).map(list)
        for option in command.params
        if isinstance(option, click.Option) and not ENDLESS & set(option.opts)
    ]
    pieces = st.lists(st.one_of(value.map(lambda text: [text]), *given), max_size=5)
    return pieces.map(lambda chosen: [name, *(word for words in chosen for word in words)])


assert set(READING) <= set(COMMANDS)
COMMAND_LINES = st.sampled_from(READING).flatmap(command_lines)
