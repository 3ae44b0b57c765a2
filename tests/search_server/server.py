"""Run the Elasticsearch of provide.py, or of ELASTICSEARCH_HOME, with the settings of the manifests."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import urllib3
import yaml
from polling import until
from search_server import provide, threads
from watchdog import Watchdog

ROOT = Path(__file__).parents[2]
LOCAL = ROOT / "k8s" / "base" / "elasticsearch" / "elasticsearch.yml"
PRODUCTION = ROOT / "k8s" / "components" / "elasticsearch-cluster" / "elasticsearch.yml"

UNPUBLISHED = ("ingest.geoip.downloader.enabled", "xpack.ml.enabled")
"""Settings of the manifest whose modules (ingest-geoip, x-pack-ml) are not in the published server."""

JVM = """\
-Xms512m
-Xmx512m
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:+ExitOnOutOfMemoryError
-Djava.io.tmpdir=${ES_TMPDIR}
-Xlog:class+init=info:file=${ES_TMPDIR}/classes
"""
"""Made for a start on a busy machine, not for load; `initialized` reads which classes came to use."""

LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""

NOBODY = 65534
"""Elasticsearch refuses to run as root; a test that does gives it to this user."""

ALONE: dict[str, Any] = {
    "network.publish_host": "127.0.0.1",
    "discovery.seed_hosts": [],
    "cluster.initial_master_nodes": ["elasticsearch-0"],
}
"""What production's node is told to be the first of three alone."""

START_SECONDS = 400.0


class Elasticsearch:
    """One node on loopback, on free ports, with its files in a folder of its own.

    `url` is set once it is started; `elastic` is the user who may do everything, with `password`.
    """

    password = provide.PASSWORD

    def __init__(self, given: str | None = None, certificates: Path | None = None) -> None:
        """`given` is the folder of an unpacked distribution. Raises provide.Unavailable.

        With `certificates`, a folder with what the Secret `elasticsearch-tls` holds, it has the settings of
        production and speaks TLS, else those of `local`.
        """
        self.whole = bool(given)
        """Whether it has all its modules, and not those alone that are published."""
        self._folder = Path(tempfile.mkdtemp(prefix="dashcam-elasticsearch-"))
        self._folder.chmod(0o755)
        self.log = self._folder / "output"
        self._pid = self._folder / "logs" / "pid"
        self._home, self._java = self._programs(given)
        self._certificates = certificates
        trusted = {"ca_certs": str(certificates / "ca.crt")} if certificates else {}
        self._http = urllib3.PoolManager(retries=False, timeout=30, **trusted)
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self.url = ""

    @property
    def version(self) -> str:
        """What it is, from the name of its own library."""
        (library,) = self._home.glob("lib/elasticsearch-[0-9]*.jar")
        return library.stem.removeprefix("elasticsearch-")

    def _programs(self, given: str | None) -> tuple[Path, Path | None]:
        if given:
            if not (Path(given) / "bin" / "elasticsearch").exists():
                raise provide.Unavailable(f"ELASTICSEARCH_HOME={given!r} has no bin/elasticsearch")
            return Path(given), None
        place = provide.provide()
        if os.geteuid() == 0:
            # Another user cannot look into root's cache.
            place = shutil.copytree(place, self._folder / "programs", copy_function=_link, symlinks=True)
        return place / "home", place / "java"

    def start(self) -> None:
        """Start it and wait until it answers. Raises AssertionError with the end of what it said."""
        settings = self._configure()
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "HOSTNAME": "elasticsearch-0",
            "ES_PATH_CONF": str(settings),
            "ES_TMPDIR": str(self._folder / "tmp"),
            **({"ES_JAVA_HOME": str(self._java)} if self._java else {}),
        }
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [str(self._home / "bin" / "elasticsearch"), "-p", str(self._pid)],
                cwd=self._folder,
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **user,
            )
        self._watchdog = Watchdog([self._process.pid], str(self._folder))
        try:
            until(
                self._settled,
                lambda: f"Elasticsearch; it said:\n{self.said()}",
                within=START_SECONDS,
                every=0.2,
            )
            assert self._process.poll() is None, f"Elasticsearch ended; it said:\n{self.said()}"
        except BaseException:
            self.stop()
            raise

    def _configure(self) -> Path:
        folder = self._folder / "config"
        folder.mkdir()
        for name in ("data", "logs", "tmp"):
            (self._folder / name).mkdir()
        settings = yaml.safe_load((PRODUCTION if self._certificates else LOCAL).read_text())
        if not self.whole:
            settings = {name: value for name, value in settings.items() if name not in UNPUBLISHED}
        if self._certificates:
            settings |= ALONE
            shutil.copytree(self._certificates, folder / "certs")
        settings |= {
            "network.host": "127.0.0.1",
            "http.port": 0,
            "transport.port": 0,
            "node.portsfile": True,
            "path.data": str(self._folder / "data"),
            "path.logs": str(self._folder / "logs"),
            # A disk that is nearly full is none of a test's business.
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }
        (folder / "elasticsearch.yml").write_text(yaml.safe_dump(settings))
        (folder / "jvm.options").write_text(JVM)
        (folder / "log4j2.properties").write_text(LOGGING)
        if self.whole:
            keystore = [str(self._home / "bin" / "elasticsearch-keystore"), "add", "-x", "-f"]
            environ = {**os.environ, "ES_PATH_CONF": str(folder)}
            provide.run([*keystore, "bootstrap.password"], environ, self.password)
        else:
            shutil.copy(self._home / "config" / "elasticsearch.keystore", folder)
        if os.geteuid() == 0:
            made = [self._folder / name for name in ("data", "logs", "tmp")]
            for path in [folder, *folder.rglob("*"), *made]:
                os.chown(path, NOBODY, NOBODY)
        return folder

    def _settled(self) -> bool:
        """Whether it answers, or is gone."""
        assert self._process is not None
        if self._process.poll() is not None:
            return True
        ports = self._folder / "logs" / "http.ports"
        if not ports.exists() or not (first := ports.read_text().splitlines()[:1]):
            return False
        port = first[0].rpartition(":")[2]
        # The certificate has names and no addresses.
        self.url = f"https://localhost:{port}" if self._certificates else f"http://127.0.0.1:{port}"
        status, _ = self.ask("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s")
        return status == 200

    def ask(
        self, method: str, path: str, body: Any = None, user: str = "elastic", password: str = ""
    ) -> tuple[int, Any]:
        """The status and the JSON of an answer; `body` is JSON, or the bytes of many lines of it."""
        data = body if isinstance(body, bytes | None) else orjson.dumps(body)
        headers = {"Authorization": authorization(user, password or self.password)}
        if data is not None:
            headers["Content-Type"] = "application/x-ndjson" if data is body else "application/json"
        answer = self._http.request(method, self.url + path, body=data, headers=headers)
        return answer.status, orjson.loads(answer.data) if answer.data else None

    def expect(self, method: str, path: str, body: Any = None, **how: Any) -> Mapping[str, Any]:
        """The JSON of an answer that must be of status 200 or 201."""
        status, answer = self.ask(method, path, body, **how)
        assert status in (200, 201), (method, path, status, answer)
        return answer  # type: ignore[no-any-return]

    @property
    def transport_port(self) -> int:
        """Where other nodes would speak with it."""
        return int((self._folder / "logs" / "transport.ports").read_text().split()[0].rpartition(":")[2])

    def said(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def threads(self) -> str:
        """What its threads are at, but those without work: why a node does not answer."""
        before = self.log.stat().st_size
        # The process that was started only watches over the server's own.
        os.kill(int(self._pid.read_text()), signal.SIGQUIT)

        def dump() -> str:
            return self.log.read_bytes()[before:].decode(errors="replace")

        until(lambda: threads.ENDS_WITH in dump(), "the threads of Elasticsearch", within=30)
        return threads.at_work(dump())

    def initialized(self, name: str) -> bool:
        """Whether a class, by its full name, has come to use since the start."""
        line = f"Initializing '{name.replace('.', '/')}'"
        return line in (self._folder / "tmp" / "classes").read_text(errors="replace")

    def stop(self) -> None:
        """End it and remove all its files."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            # What is not gone by then is killed below.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        if self._watchdog is not None:
            self._watchdog.close()
        if self._process is not None:
            self._process.wait(10)
        self._http.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def authorization(user: str, password: str) -> str:
    """The header of HTTP's basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the folders are on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
