"""The store: what is acknowledged is there, what fails leaves nothing, and the bounds hold."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import httpx
import pytest
from backendkit import START, TRACE, Request, Store, add_span
from polling import until

from dashcam.store import sqlite_file
from dashcam.store.otlp import decode_traces
from dashcam.store.records import Batch
from dashcam.store.sqlite_file import StoreError
from dashcam.store.writer import Unavailable, Unstorable


def request_of(count: int, first: int = 0, **attributes) -> Request:
    request = Request()
    scope = request.resource("car")
    for i in range(first, first + count):
        trace = (1 << 120 | i).to_bytes(16, "big")
        add_span(scope, trace=trace, span=i + 1, attributes={"number": i, "filler": filler(i)} | attributes)
    return request


def filler(number: int) -> str:
    """Text that hardly compresses, the same for the same number."""
    return random.Random(number).randbytes(100).hex()


def count(store: Store, table: str = "span_block") -> int:
    with closing(sqlite_file.open_reader(store.settings.database)) as db:
        return db.execute(f"SELECT coalesce(sum(n), 0) FROM {table}").fetchone()[0]


def test_a_batch_that_cannot_be_stored_leaves_nothing_and_takes_no_other_along(store):
    good, bad = (
        decode_traces(request_of(3).message).spans,
        decode_traces(request_of(3, first=9).message).spans,
    )
    bad[2] = bad[2]._replace(start=2**70)
    blocker = threading.Event()
    original = store.writer._store
    store.writer._store = lambda tickets: (blocker.wait(10), original(tickets))[
        1
    ]  # so that both wait together
    first = store.writer.submit(Batch(spans=decode_traces(request_of(1, first=50).message).spans))
    tickets = [store.writer.submit(Batch(spans=spans)) for spans in (good, bad)]
    blocker.set()
    store.writer.wait(first, 10)
    store.writer.wait(tickets[0], 10)
    with pytest.raises(Unstorable):
        store.writer.wait(tickets[1], 10)
    assert count(store) == 4
    store.spans(request_of(2, first=100))
    assert count(store) == 6


def test_a_batch_that_waits_too_long_is_withdrawn(store):
    gate = threading.Event()
    original = store.writer._store
    store.writer._store = lambda tickets: (gate.wait(10), original(tickets))[1]
    first = store.writer.submit(Batch(spans=decode_traces(request_of(1).message).spans))
    until(lambda: not store.writer._queue, "the writer to take the first batch", every=0.001)
    late = store.writer.submit(Batch(spans=decode_traces(request_of(5, first=10).message).spans))
    with pytest.raises(Unavailable, match="did not take the batch"):
        store.writer.wait(late, 0.05)
    gate.set()
    store.writer.wait(first, 10)
    assert count(store) == 1


def test_the_size_stays_within_its_bound_and_the_oldest_go_first(tmp_path):
    store = Store(tmp_path, store_max_mib=8)
    try:
        for i in range(60):
            store.spans(request_of(512, first=512 * i))
            store.lines(*({"at": i, "message": filler(j), "service": "car"} for j in range(64)))
            assert sum(file.stat().st_size for file in store.settings.database.parent.iterdir()) <= 8 * 2**20
        kept = count(store)
        assert 0 < kept < 60 * 512
        newest = store.get("/api/traces", service="car", tag=f"number:{60 * 512 - 1}", start=0)["data"]
        assert len(newest) == 1
        assert store.get("/api/traces", service="car", tag="number:0", start=0)["data"] == []
        assert store.client.get(f"/api/traces/{(1 << 120).to_bytes(16, 'big').hex()}").status_code == 404
        assert store.get("/api/logs")["total"] == count(store, "log_block") > 0
        orphans = "SELECT count(*) FROM span_trace WHERE seq NOT IN (SELECT seq FROM span)"
        with closing(sqlite_file.open_reader(store.settings.database)) as db:
            assert db.execute(orphans).fetchone()[0] == 0
            assert db.execute("SELECT count(*) FROM span").fetchone()[0] == kept
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        store.close()


def test_what_is_too_old_goes_and_with_it_its_operations(tmp_path):
    store = Store(tmp_path, store_max_hours=1.0)
    try:
        store.now = START / 1e9
        request = Request()
        add_span(request.resource("old"), "gone")
        store.spans(request)
        store.lines({"message": "gone"})
        store.now += 3601
        request = Request()
        add_span(request.resource("new"), "here")
        store.spans(request)
        assert store.get("/api/services")["data"] == ["new"]
        assert store.get("/api/logs")["total"] == 0
        store.now += 3601
        until(lambda: not store.get("/api/services")["data"], "an idle writer to delete what is too old")
        request = Request()
        add_span(request.resource("old"), "gone")
        store.spans(request)
        assert store.get("/api/operations", service="old")["total"] == 1
    finally:
        store.close()


def test_a_lowered_bound_shrinks_the_file_in_steps(tmp_path):
    store = Store(tmp_path, store_max_mib=64)
    for i in range(60):
        store.spans(request_of(512, first=512 * i))
    before = store.settings.database.stat().st_size
    store.close()
    store = Store(tmp_path, store_max_mib=8)
    try:

        def shrunk() -> bool:
            store.spans(request_of(1))
            return store.settings.database.stat().st_size <= 8 * 2**20

        until(shrunk, f"a file of {before} bytes to shrink to 8 MiB", within=60, every=0)
    finally:
        store.close()


def test_numbers_go_on_after_everything_was_deleted_and_a_restart(tmp_path):
    store = Store(tmp_path, store_max_hours=1.0)
    store.now = START / 1e9
    store.lines({"message": "a"}, {"message": "b"})
    latest = store.get("/api/logs")["latest"]
    store.now += 7200
    store.lines()
    store.close()
    store = Store(tmp_path)
    try:
        store.lines({"message": "c"})
        assert [line["message"] for line in store.get("/api/logs", after=latest)["logs"]] == ["c"]
    finally:
        store.close()


def test_a_database_of_another_version_is_told_from_one_that_can_be_used(tmp_path):
    path = tmp_path / "backend.sqlite3"
    with pytest.raises(StoreError, match="is the receiver running"):
        sqlite_file.open_reader(path)
    sqlite_file.open_writer(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={sqlite_file.VERSION + 1}")
    with pytest.raises(StoreError, match="newer version"):
        sqlite_file.open_writer(path)
    with pytest.raises(StoreError, match="restart the receiver"):
        sqlite_file.open_reader(path)


def test_a_second_receiver_is_told_that_there_is_one(store):
    with pytest.raises(StoreError, match="another receiver writes"):
        Store(store.settings.state_dir)


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "backend.sqlite3"
    path.write_text("not a database, but long enough to be looked at by SQLite: " * 20)
    with pytest.raises(StoreError, match=r"cannot write .*not a database"):
        sqlite_file.open_writer(path)


def test_queries_follow_a_database_that_was_made_anew(tmp_path):
    store = Store(tmp_path)
    store.spans(request_of(1))
    assert store.get("/api/services")["data"] == ["car"]
    client = store.client
    store.close()
    for file in store.settings.database.parent.iterdir():
        file.unlink()
    assert client.get("/api/services").status_code == 503
    store = Store(tmp_path)
    assert client.get("/api/services").get_json()["data"] == []
    store.close()


def test_a_database_of_an_older_version_starts_anew(tmp_path):
    path = tmp_path / "backend.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE span (old TEXT)")
        db.execute("PRAGMA user_version=1")
    with closing(sqlite_file.open_writer(path)) as db:
        assert db.execute("SELECT count(*) FROM span").fetchone()[0] == 0


def test_a_query_before_the_receiver_ran_is_a_503_that_says_so(tmp_path):
    from dashcam.store.query import create_app
    from dashcam.store.settings import LocalSettings

    client = create_app(LocalSettings(state_dir=tmp_path)).test_client()
    for path in ("/api/services", "/api/logs", "/readyz"):
        response = client.get(path)
        assert response.status_code == 503
        assert "is the receiver running?" in response.get_data(as_text=True)


def test_kill_9_loses_no_span_that_was_acknowledged(tmp_path):
    environment = dict(os.environ, DASHCAM_STATE_DIR=str(tmp_path), OTLP_GRPC_PORT="0", OTLP_HTTP_PORT="0")
    process = subprocess.Popen(
        [sys.executable, "-m", "dashcam.store.receiver"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(process.stdout.readline().rpartition("port ")[2].split('"')[0])
    acknowledged = 0
    killer = threading.Timer(0.3, process.send_signal, (signal.SIGKILL,))
    try:
        with httpx.Client() as client:
            while True:
                body = request_of(20, first=acknowledged).body
                headers = {"Content-Type": "application/x-protobuf"}
                assert (
                    client.post(
                        f"http://127.0.0.1:{port}/v1/traces", content=body, headers=headers
                    ).status_code
                    == 200
                )
                acknowledged += 20
                if acknowledged == 100:
                    killer.start()  # in the middle of whatever comes next
    except httpx.TransportError:
        pass
    process.wait()
    process.stdout.close()
    store = Store(tmp_path)
    try:
        assert acknowledged >= 100
        assert count(store) in (acknowledged, acknowledged + 20)
        assert store.client.get(f"/api/traces/{TRACE.hex()}").status_code == 404
        with closing(sqlite_file.open_reader(store.settings.database)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    finally:
        store.close()
