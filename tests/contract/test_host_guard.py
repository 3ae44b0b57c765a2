"""Every port that Dashcam's programs open answers to the names of this machine only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

from dashcam.console import ConsoleSettings
from dashcam.console import create_app as create_console
from dashcam.host_guard import HostGuard
from dashcam.store import query
from dashcam.store.receiver import Receiver
from dashcam.store.settings import LocalSettings
from observability.settings import from_environ

Status = Callable[[str], int]
"""The status of an answer to a request with this Host."""


@contextmanager
def _store(folder: Path, **named: Any) -> Iterator[Status]:
    yield _asking(query.create_app(LocalSettings(state_dir=folder, **named)).wsgi_app)


@contextmanager
def _console(folder: Path, **named: Any) -> Iterator[Status]:
    yield _asking(create_console(ConsoleSettings(console_port=9, prometheus_port=9, **named)).wsgi_app)


@contextmanager
def _receiver(folder: Path, **named: Any) -> Iterator[Status]:
    receiver = Receiver(LocalSettings(state_dir=folder, otlp_grpc_port=0, otlp_http_port=0, **named))
    receiver.start()
    try:
        yield (
            lambda host: (
                urllib3.request(
                    "GET",
                    f"http://127.0.0.1:{receiver.http_port}/livez",
                    headers={"Host": host},
                    retries=False,
                ).status
            )
        )
    finally:
        receiver.stop()


def _asking(application: Any) -> Status:
    return lambda host: Client(application).get("/no-such-page", headers={"Host": host}).status_code


@pytest.mark.parametrize("part", [_store, _console, _receiver])
def test_only_names_of_this_machine_and_allowed_ones_are_answered(part: Any, tmp_path: Path) -> None:
    local = ["localhost", "LOCALHOST.:1", "console.localhost:8080", "127.8.8.8", "[::1]:16686"]
    foreign = ["evil.example", "evil.example:1", "10.0.0.1", "localhost.evil.example"]
    malformed = ["localhost, evil.example", "", "[", "[]"]
    with part(tmp_path, allowed_hosts=("dashcam.example",)) as status:
        found = {host: status(host) for host in [*local, *foreign, *malformed, "Dashcam.example:80"]}

    assert {host for host, status in found.items() if status == 421} == set(foreign)
    assert {host for host, status in found.items() if status == 400} == set(malformed)


def test_a_port_that_was_opened_to_others_answers_to_addresses_but_to_no_name() -> None:
    status = _asking(HostGuard(Response("fine"), "0.0.0.0"))
    assert status("10.0.0.1:8080") == 200
    assert status("[fd00::1]:8080") == 200
    assert status("evil.example") == 421


@pytest.mark.parametrize(("protocol", "status"), [("HTTP/1.1", 400), ("HTTP/1.0", 200)])
def test_a_request_without_a_host_is_answered_where_http_allows_it(protocol: str, status: int) -> None:
    environ = EnvironBuilder().get_environ() | {"SERVER_PROTOCOL": protocol}
    del environ["HTTP_HOST"]
    assert run_wsgi_app(HostGuard(Response("fine"), "127.0.0.1"), environ)[1].startswith(str(status))


def test_the_names_are_read_by_comma() -> None:
    settings = from_environ(LocalSettings, {"DASHCAM_ALLOWED_HOSTS": "one.example, two.example,"})
    assert settings.allowed_hosts == ("one.example", "two.example")
