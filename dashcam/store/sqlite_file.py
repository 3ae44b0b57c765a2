"""The database file: its schema and how the one writer and the readers open it.

Spans and log lines are kept in *blocks* of a few hundred records in the order they arrived. A block's
payload is compressed; beside it lie small summaries that tell whether a query can match in it. Every
record has a sequence number (`seq`); a block's id is the seq of its first record, so merging
neighbouring blocks changes no record's number.

span_block   one row a block: how many spans, when received, which start times
span_trace   trace id -> seq of the first span of that trace in a block
span_tags    tokens of every tag in the block (see tokens.py), concatenated, for a quick "not in here"
span_facet   block x operation: counts, bounds of start time and duration
span         one narrow row a span, to match and to summarise without decoding the payload
span_data    payload: zlib of an OTLP TracesData message
log_block, log_facet, log_data   the same for log lines
log_words    the distinct words of a block's lines; those that are ids apart, because they are most of them
log_phrases  the distinct texts of several words in them
log_traces   the trace ids of a block's lines, concatenated
tail         how far each log file has been read
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from pathlib import Path
from typing import BinaryIO

VERSION = 7
PAGE = 4096

SCHEMA = """
CREATE TABLE operation (
    id INTEGER PRIMARY KEY, service TEXT NOT NULL, name TEXT NOT NULL, kind INTEGER NOT NULL,
    UNIQUE (service, name, kind)
);
CREATE TABLE span_block (
    id INTEGER PRIMARY KEY, n INTEGER NOT NULL, received INTEGER NOT NULL,
    min_start INTEGER NOT NULL, max_start INTEGER NOT NULL
);
CREATE INDEX span_block_start ON span_block (max_start);
CREATE TABLE span_trace (
    trace BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (trace, seq)
) WITHOUT ROWID;
CREATE TABLE span_tags (block INTEGER PRIMARY KEY, tokens BLOB NOT NULL);
CREATE TABLE span_facet (
    block INTEGER NOT NULL, op INTEGER NOT NULL, n INTEGER NOT NULL, errors INTEGER NOT NULL,
    min_start INTEGER NOT NULL, max_start INTEGER NOT NULL,
    min_duration INTEGER NOT NULL, max_duration INTEGER NOT NULL, PRIMARY KEY (block, op)
) WITHOUT ROWID;
CREATE INDEX span_facet_op ON span_facet (op);
CREATE TABLE span (
    seq INTEGER PRIMARY KEY, op INTEGER NOT NULL, start INTEGER NOT NULL, duration INTEGER NOT NULL,
    status INTEGER NOT NULL, trace BLOB NOT NULL, id BLOB NOT NULL, parent BLOB NOT NULL, tokens BLOB NOT NULL
);
CREATE TABLE span_data (block INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE link (
    minute INTEGER NOT NULL, parent TEXT NOT NULL, child TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (minute, parent, child)
) WITHOUT ROWID;
CREATE TABLE log_block (
    id INTEGER PRIMARY KEY, n INTEGER NOT NULL, received INTEGER NOT NULL,
    min_time INTEGER NOT NULL, max_time INTEGER NOT NULL, services TEXT NOT NULL
);
CREATE INDEX log_block_time ON log_block (max_time);
CREATE TABLE log_facet (
    block INTEGER NOT NULL, service TEXT NOT NULL, level INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (block, service, level)
) WITHOUT ROWID;
CREATE TABLE log_words (
    block INTEGER PRIMARY KEY, words BLOB NOT NULL, ids BLOB NOT NULL
);
CREATE TABLE log_phrases (block INTEGER PRIMARY KEY, phrases BLOB NOT NULL);
CREATE TABLE log_traces (block INTEGER PRIMARY KEY, traces BLOB NOT NULL);
CREATE TABLE log_data (block INTEGER PRIMARY KEY, payload BLOB NOT NULL);
CREATE TABLE tail (
    device INTEGER NOT NULL, inode INTEGER NOT NULL, head BLOB NOT NULL,
    position INTEGER NOT NULL, skipping INTEGER NOT NULL, PRIMARY KEY (device, inode)
) WITHOUT ROWID;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class StoreError(RuntimeError):
    """The database cannot be used. The message names the file and what to do."""


def open_writer(path: Path, wal_bytes: int = 16 * 2**20) -> sqlite3.Connection:
    """Open, and create where it is missing, the database for the one process that writes.

    WAL with synchronous=NORMAL: a committed transaction survives the death of the process; the loss
    of power may cost the last transactions but never the file's integrity. The write-ahead log is put
    into the file when it is as long as `wal_bytes`, and cut back to that after a longer transaction.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        _configure(db, wal_bytes)
        _migrate(db, path)
    except sqlite3.Error as error:
        raise StoreError(f"cannot write {path}: {error}; move it away or free its disk") from error
    return db


def lock(path: Path) -> BinaryIO:
    """Hold the database for one writer until the file that is answered is closed.

    Raises StoreError while another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = path.with_suffix(".lock").open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise StoreError(f"another receiver writes {path}; stop it, or set DASHCAM_STATE_DIR") from None
    return held


def _configure(db: sqlite3.Connection, wal_bytes: int) -> None:
    db.execute(f"PRAGMA page_size={PAGE}")
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA busy_timeout=5000")
    db.execute("PRAGMA cache_size=-24000")
    db.execute("PRAGMA temp_store=MEMORY")
    db.execute(f"PRAGMA journal_size_limit={wal_bytes}")
    db.execute(f"PRAGMA wal_autocheckpoint={max(1, wal_bytes // PAGE)}")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the database for reading. Raises StoreError while the receiver has not yet made it."""
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}; is the receiver running?") from None
    if version != VERSION:
        db.close()
        raise StoreError(f"{path} has schema {version}, this program reads {VERSION}; restart the receiver")
    db.execute("PRAGMA query_only=ON")
    # The system caches the file; a large cache in each of the reading threads would only hold it again.
    db.execute("PRAGMA cache_size=-2000")
    db.execute("PRAGMA busy_timeout=2000")
    return db


def is_damaged(error: BaseException | None) -> bool:
    """Whether an error says that the file is not what SQLite has written."""
    # An error of Python's module itself has no code.
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    )


def doubt(path: Path) -> None:
    """Tell the writer that a reader has met damage: it looks through the file and moves it aside."""
    with contextlib.suppress(OSError):
        path.with_suffix(".doubted").touch()


def doubted(path: Path) -> bool:
    """Whether a reader has met damage since this was asked last."""
    try:
        path.with_suffix(".doubted").unlink()
    except OSError:
        return False
    return True


def move_aside(path: Path) -> Path:
    """Give a damaged database another name, in the place of one that was moved before; the new name."""
    aside = path.with_suffix(".damaged")
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(aside.with_name(aside.name + suffix))
    return aside


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold data: free pages inside it do not count."""
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    return int(pages - free) * PAGE


def file_bytes(db: sqlite3.Connection) -> int:
    """Size of the main database file."""
    return int(db.execute("PRAGMA page_count").fetchone()[0]) * PAGE


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables. What an older version stored is dropped: it is hours of telemetry, no more."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version > VERSION:
        raise StoreError(f"{path} was written by a newer version (schema {version}); move it away")
    db.execute("BEGIN IMMEDIATE")
    tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (name,) in tables.fetchall():
        db.execute(f'DROP TABLE "{name}"')
    for statement in SCHEMA.split(";"):
        if statement.strip():
            db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")
