"""A throw-away PostgreSQL cluster of the system's packages, for tests that need the real thing."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

OWNER = "postgres"
"""Who runs the server where the tests run as root, which PostgreSQL refuses to be."""


class Cluster:
    """A running server that listens on nothing but a socket in its own folder."""

    def __init__(self, folder: Path) -> None:
        self._url = f"postgresql://car@/postgres?host={folder}"

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


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a cluster, and leave nothing of it behind. Fails the test where the programs are missing."""
    programs = _programs()
    # Not pytest's folder: a socket's path may have 107 bytes, and another user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="dashcam-pg-"))
    data = str(folder / "data")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    try:
        if os.getuid() == 0:
            shutil.chown(folder, OWNER)
        _run([programs / "initdb", "-D", data, "-A", "trust", "-U", "car", "-E", "UTF8", "--no-sync"])
        try:
            _run([programs / "pg_ctl", "-D", data, "-w", "-o", options, "-l", str(folder / "log"), "start"])
            yield Cluster(folder)
        finally:
            _run([programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"])
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


def _run(command: list[str | Path]) -> None:
    if os.getuid() == 0:
        command = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups", *command]
    # To a file, not a pipe: the server inherits it, and a pipe would keep this waiting for its end.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", timeout=60, check=False)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if done.returncode:
        pytest.fail(f"{command} ended with {done.returncode}:\n{said}", pytrace=False)
