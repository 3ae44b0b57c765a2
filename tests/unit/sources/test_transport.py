"""Sources that are away, slow or something else: typed errors within the time limit."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from flask import Flask, request

from dashcam.sources import Jaeger, SourceAway, SourceSettings, SourceUnreadable, connect
from dashcam.sources.transport import HttpTransport, WsgiTransport
from dashcam.stack.ports import free_port


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of something that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a server of HTML."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_refused_connection_says_address_and_remedy() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(SourceAway, match="nothing answers there") as caught:
        Jaeger(HttpTransport(address, 1.0), address).services()
    assert caught.value.address == address
    assert "JAEGER_QUERY_URL" in caught.value.remedy


def test_a_source_that_never_answers_costs_no_more_than_the_limit(silent: str) -> None:
    began = time.monotonic()
    with pytest.raises(SourceAway, match=r"no answer within 0\.3 s"):
        Jaeger(HttpTransport(silent, 0.3), silent).services()
    assert time.monotonic() - began < 10


def test_an_unknown_host_is_away() -> None:
    address = "http://no-such-host.invalid"
    with pytest.raises(SourceAway):
        Jaeger(HttpTransport(address, 1.0), address).services()


def test_html_where_an_api_should_be_is_unreadable(page: str) -> None:
    with pytest.raises(SourceUnreadable, match="is not JSON"):
        Jaeger(HttpTransport(page, 1.0), page).services()


def test_an_application_of_this_process_is_asked_without_a_socket() -> None:
    app = Flask("here")
    app.add_url_rule("/api/services", view_func=lambda: {"data": [request.host]})
    found = Jaeger(WsgiTransport(app.wsgi_app, "http://127.0.0.1:9"), "http://127.0.0.1:9").services()
    assert found == ["127.0.0.1:9"]


def test_an_address_by_setting_is_asked_there_and_not_here() -> None:
    app = Flask("here")
    app.add_url_rule("/api/services", view_func=lambda: {"data": ["here"]})
    elsewhere = f"http://127.0.0.1:{free_port()}"
    assert connect(SourceSettings(), here=app.wsgi_app).traces.services() == ["here"]
    with pytest.raises(SourceAway):
        connect(SourceSettings(jaeger_query_url=elsewhere), here=app.wsgi_app).traces.services()


def test_addresses_follow_the_local_ports_unless_set() -> None:
    settings = SourceSettings(console_port=7, prometheus_port=8)
    assert (settings.jaeger_address, settings.logs_address) == ("http://127.0.0.1:7", "http://127.0.0.1:7")
    assert settings.prometheus_address == "http://127.0.0.1:8"
    assert SourceSettings(logs_kind="elasticsearch").logs_address == "http://127.0.0.1:9200"
    assert SourceSettings(jaeger_query_url="http://jaeger:1/").logs_address == "http://jaeger:1"
