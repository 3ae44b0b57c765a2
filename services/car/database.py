"""The database of `car`: its tables' versions, on connections and transactions as every service has them.

Changes of the catalogue run one after the other, on PostgreSQL because each starts by locking the one row
of the table `catalogue`. What one has read, such as the entity tag that a precondition names, therefore
still holds when it writes.
"""

from __future__ import annotations

from pathlib import Path

from services.car.catalogue import Unavailable
from services.storage.database import Database, Schema

SCHEMA = Schema(
    "car",
    Path(__file__).with_name("migrations"),
    lock=int.from_bytes(b"cars", "big"),
    unavailable=Unavailable,
    own=False,
)

__all__ = ["SCHEMA", "Database"]
