"""A damaged part of the store is left out or moved aside, is said, and the rest goes on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from backendkit import START, Request, Store, add_span
from polling import until

from dashcam.store import blocks
from dashcam.store.sqlite_file import is_damaged

EVER = {"start": START // 1000 - 10**9, "end": START // 1000 + 10**9}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def test_an_error_of_pythons_own_module_is_no_damage() -> None:
    database = sqlite3.connect(":memory:")
    database.close()
    with pytest.raises(sqlite3.ProgrammingError) as raised:
        database.execute("SELECT 1")
    assert not is_damaged(raised.value)


def put(store: Store, first: int, count: int) -> None:
    for number in range(first, first + count):
        request = Request()
        add_span(request.resource(), trace=number.to_bytes(16, "big"))
        store.spans(request)
        store.lines({"message": f"line {number}"})


def traces(store: Store) -> set[int]:
    answer = store.get("/api/traces", service="car", limit=1000, **EVER)
    return {int(trace["traceID"], 16) for trace in answer["data"]}


def lines(store: Store) -> int:
    return len(store.get("/api/logs", limit=1000)["logs"])


def damage_a_payload(folder: Path, table: str, place: int) -> None:
    with closing(sqlite3.connect(folder / "backend" / "backend.sqlite3")) as db:
        block, payload = db.execute(f"SELECT block, payload FROM {table} ORDER BY block LIMIT 1").fetchone()
        changed = bytearray(payload)
        changed[place] ^= 0xFF
        db.execute(f"UPDATE {table} SET payload = ? WHERE block = ?", (bytes(changed), block))
        db.commit()


@pytest.mark.parametrize("place", [0, 20, -3])
def test_a_block_with_a_flipped_bit_is_left_out_and_the_others_are_found(store: Store, place: int) -> None:
    put(store, 1, 20)
    damage_a_payload(store.settings.state_dir, "span_data", place)
    damage_a_payload(store.settings.state_dir, "log_data", place)
    assert traces(store) == set(range(2, 21))
    assert lines(store) == 19
    store.get("/api/logs/histogram", q="line", **EVER)
    store.get("/api/logs/histogram", **EVER)
    assert store.client.get(f"/api/traces/{1:032x}").status_code in (200, 404)


def test_a_damaged_block_among_those_to_be_merged_stops_no_writing(store: Store) -> None:
    put(store, 1, 20)
    damage_a_payload(store.settings.state_dir, "span_data", 5)
    damage_a_payload(store.settings.state_dir, "log_data", 5)
    put(store, 21, blocks.LINES + 20)
    assert traces(store) == set(range(2, blocks.LINES + 41))
    assert lines(store) == blocks.LINES + 39


def scratched(folder: Path, first: int, length: int) -> None:
    with (folder / "backend" / "backend.sqlite3").open("r+b") as file:
        file.seek(first)
        file.write(os.urandom(length))


@pytest.mark.parametrize(("first", "length"), [(0, 100), (4096, 40 * 4096)])
def test_a_damaged_database_is_moved_aside_and_an_empty_one_goes_on(
    tmp_path: Path, first: int, length: int
) -> None:
    with closing(Store(tmp_path)) as before:
        put(before, 1, 150)
    scratched(tmp_path, first, length)
    with closing(Store(tmp_path)) as after:
        put(after, 200, 5)
        assert traces(after) == set(range(200, 205))
    aside = tmp_path / "backend" / "backend.damaged"
    assert aside.stat().st_size > length


def test_damage_that_only_a_reader_meets_is_moved_aside_too(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        put(store, 1, 300)
        with closing(sqlite3.connect(tmp_path / "backend" / "backend.sqlite3")) as db:
            (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'span_tags'").fetchone()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        scratched(tmp_path, (page - 1) * 4096, 4096)
        search = {"service": "car", "limit": 10, "tags": '{"a":"b"}'} | EVER

        def answered() -> bool:
            answer = store.client.get("/api/traces", query_string=search)
            assert answer.is_json
            return answer.status_code == 200

        until(answered, "the search to be answered again")
        put(store, 400, 2)
        assert traces(store) == {400, 401}
        assert (tmp_path / "backend" / "backend.damaged").exists()


def test_an_unexpected_error_of_an_api_is_json(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr("dashcam.store.span_query.services", broken)
    answer = store.client.get("/api/services")
    assert (answer.status_code, answer.is_json) == (500, True)
    assert answer.get_json()["errors"][0]["code"] == 500
