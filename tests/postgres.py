"""A throw-away PostgreSQL cluster of the system's packages, for tests that need the real thing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

OWNER = "postgres"
"""Who runs the server where the tests run as root, which PostgreSQL refuses to be."""


class Cluster:
    """A running server that listens on nothing but a socket in its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._url = self.url()

    def empty_database(self) -> str:
        """The URL of the one database, emptied: quicker than a new one, which is 300 files to copy."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            # The services that share a database have a schema each.
            theirs = (
                "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
            )
            for (name,) in connection.execute(theirs).fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
            connection.execute("CREATE SCHEMA public")
        return self._url

    def url(self, *others: Cluster) -> str:
        """The URL of the one database, here or on one of the others."""
        hosts = ",".join(str(cluster.folder) for cluster in (self, *others))
        return f"postgresql://car@/postgres?host={hosts}"

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """All its processes stand still (SIGSTOP): they take connections and say nothing."""
        server = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        processes = [server, *_children(server)]
        try:
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            yield
        finally:
            for process in reversed(processes):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)

    @contextmanager
    def standby(self) -> Iterator[Cluster]:
        """A second server that follows this one and takes no changes."""
        with _folder() as folder:
            copy: list[str | Path] = [
                "-D",
                folder / "data",
                "-h",
                self.folder,
                "-U",
                "car",
                "-R",
                "-c",
                "fast",
                "--no-sync",
            ]
            _run([_programs() / "pg_basebackup", *copy])
            with _running(folder) as standby:
                yield standby

    def promote(self) -> None:
        """Make a standby the one that takes changes."""
        _run([_programs() / "pg_ctl", "-D", self.folder / "data", "-w", "promote"])

    def stop(self) -> None:
        """End the server at once, as a machine does that fails."""
        _run([_programs() / "pg_ctl", "-D", self.folder / "data", "-w", "-m", "immediate", "stop"])


def _children(process: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster, and leave nothing of it behind. Fails the test where the programs are missing."""
    with _folder() as folder:
        made = ["-A", "trust", "-U", "car", "-E", "UTF8", "--no-sync"]
        _run([_programs() / "initdb", "-D", folder / "data", *made])
        with _running(folder) as server:
            yield server


@contextmanager
def _running(folder: Path) -> Iterator[Cluster]:
    server = Cluster(folder)
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    how: list[str | Path] = ["-w", "-o", options, "-l", folder / "log"]
    try:
        _run([_programs() / "pg_ctl", "-D", folder / "data", *how, "start"])
        yield server
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    # Not pytest's folder: a socket's path may have 107 bytes, and another user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="dashcam-pg-"))
    try:
        if os.getuid() == 0:
            shutil.chown(folder, OWNER)
        yield folder
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of the newest PostgreSQL's programs."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(packaged, key=lambda path: int(path.parts[-3].partition(".")[0]))
    if found:
        return found[-1].parent
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    pytest.fail("PostgreSQL's programs are not here: apt-get install postgresql", pytrace=False)


def _run(command: Sequence[str | Path]) -> None:
    if os.getuid() == 0:
        command = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups", *command]
    # Under `make test-shifted-clock` the server keeps the machine's clock: below libfaketime its timers, so
    # `lock_timeout` too, never go off.
    environ = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    # To a file, not a pipe: the server inherits it, and a pipe would keep this waiting for its end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command, stdout=output, stderr=output, cwd="/", env=environ, timeout=60, check=False
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    if done.returncode:
        pytest.fail(f"{command} ended with {done.returncode}:\n{said}", pytrace=False)
