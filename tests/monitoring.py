"""A Prometheus, an Alertmanager and who is told, of a test's own: real programs on free ports of loopback.

Time is scaled: the rules and the routing are the generated ones with every window, wait and interval divided
by :data:`FASTER`; names, thresholds and counts are untouched. An hour of the rules is two minutes here.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import yaml
from polling import until

from dashboards.src import alertmanager as routing
from dashboards.src.generate import rules
from dashboards.src.slos import load
from dashcam.stack.ports import free_port

FASTER = 30
SCALE = Fraction(1, FASTER)
SCRAPE = 15 / FASTER
"""Seconds between two scrapes: what the rules are written for, scaled like them."""


@contextmanager
def program(*command: str | Path, log: Path, ready: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers 200 at `ready`; ended with the block."""
    name = str(command[0])
    assert shutil.which(name), f"{name} is missing: apt-get install prometheus prometheus-alertmanager"
    with log.open("ab") as output:
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, **options)
    try:
        until(lambda: httpx.get(ready, timeout=2).status_code == 200, f"{name} at {ready}; see {log}")
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


@dataclass
class Prometheus:
    """A running Prometheus; `query` answers `{labels without __name__: value}` as a list of pairs."""

    url: str
    client: httpx.Client

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        answer = self.client.get(f"{self.url}/api/v1/query", params={"query": promql})
        assert answer.status_code == 200, f"{promql}: {answer.text}"
        return [(row["metric"], float(row["value"][1])) for row in answer.json()["data"]["result"]]

    def value(self, promql: str) -> float | None:
        """The one value of an expression; None where there is none."""
        found = self.query(promql)
        assert len(found) <= 1, f"{promql} gives {len(found)} series"
        return found[0][1] if found else None

    def firing(self) -> set[str]:
        """`alertname service [slo]` of every firing alert that is told to someone."""
        rows = self.query('ALERTS{alertstate="firing",severity!="none"}')
        return {
            " ".join(labels[name] for name in ("alertname", "service", "slo") if name in labels)
            for labels, _ in rows
        }


def _misses_another(rule: Mapping[str, Any], targets: Mapping[str, str]) -> bool:
    return rule.get("alert") == "ServiceDown" and rule["labels"]["service"] not in targets


@contextmanager
def prometheus(
    folder: Path,
    targets: Mapping[str, str],
    alertmanager: str = "",
    how: Mapping[str, Mapping[str, Any]] | None = None,
    scrape: float = SCRAPE,
) -> Iterator[Prometheus]:
    """A Prometheus with the generated rules, scraping `{job: host:port}`; `how` adds to a job.

    A service that is no target is not missed: its ServiceDown is left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in rules(load(), SCALE).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        page = yaml.safe_load(text)
        for group in page["groups"]:
            group["rules"] = [rule for rule in group["rules"] if not _misses_another(rule, targets)]
        path.write_text(yaml.safe_dump(page))
    interval = f"{int(scrape * 1000)}ms"
    document: dict[str, Any] = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(folder / "rules" / "*.yml")],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}], **(how or {}).get(job, {})}
            for job, target in targets.items()
        ],
    }
    if alertmanager:
        host = alertmanager.removeprefix("http://")
        document["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [host]}]}]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document))
    url = f"http://127.0.0.1:{free_port()}"
    with (
        httpx.Client(timeout=10) as client,
        program(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--enable-feature=exemplar-storage",
            f"--rules.alert.resend-delay={interval}",
            log=folder / "prometheus.log",
            ready=f"{url}/-/ready",
        ),
    ):
        yield Prometheus(url, client)


@dataclass
class Told:
    """What the receivers were sent: `(receiver, status, group, names of the alerts)`."""

    messages: list[tuple[str, str, dict[str, str], list[str]]] = field(default_factory=list)

    def of(self, receiver: str, status: str) -> list[tuple[dict[str, str], list[str]]]:
        return [
            (group, names) for to, state, group, names in self.messages if (to, state) == (receiver, status)
        ]


@contextmanager
def alertmanager(folder: Path) -> Iterator[tuple[str, Told]]:
    """An Alertmanager with the generated routing; its receivers are a listener that counts."""
    folder.mkdir(parents=True, exist_ok=True)
    told = Told()

    def take(path: str, body: bytes) -> None:
        message = json.loads(body)
        names = sorted(alert["labels"]["alertname"] for alert in message["alerts"])
        told.messages.append((message["receiver"], message["status"], message["groupLabels"], names))

    with listener(post=take) as hook:
        receivers = {
            name: {"webhook_configs": [{"url": f"{hook}/{name}", "send_resolved": True}]}
            for name in ("page", "ticket", "watchdog")
        }
        page = folder / "alertmanager.yml"
        page.write_text(yaml.safe_dump(routing.configuration(load(), receivers, SCALE)))
        url = f"http://127.0.0.1:{free_port()}"
        with program(
            shutil.which("alertmanager") or "prometheus-alertmanager",
            f"--config.file={page}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--cluster.listen-address=",
            log=folder / "alertmanager.log",
            ready=f"{url}/-/ready",
        ):
            yield url, told


@contextmanager
def listener(
    get: Callable[[str], str] | None = None, post: Callable[[str, bytes], None] | None = None
) -> Iterator[str]:
    """A small HTTP server: `get(path)` gives the text of a page, `post(path, body)` takes what was sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = get(self.path).encode() if get else b""
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if post:
                post(self.path, body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what comes in is asserted."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def expositions(pages: Mapping[str, Path]) -> Iterator[str]:
    """`host:port` that serves each page under its name; counters and histograms grow by the second."""
    began = time.monotonic()
    texts = {f"/{name}": page.read_text() for name, page in pages.items()}
    kinds = re.compile(r"^# TYPE (\S+) (?:counter|histogram)$", re.MULTILINE)
    counters = {path: tuple(kinds.findall(text)) for path, text in texts.items()}

    def shown(path: str) -> str:
        growing = counters[path]
        growth = 1 + time.monotonic() - began

        def grown(line: str) -> str:
            if not line.startswith(growing):
                return line
            series, _, value = line.rpartition(" ")
            return f"{series} {float(value) * growth}"

        return "\n".join([*map(grown, texts[path].splitlines()), ""])

    with listener(get=shown) as url:
        yield url.removeprefix("http://")
