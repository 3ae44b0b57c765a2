"""The metric families of one process at one moment, and their form as bytes.

Which series there are changes seldom, what they say always: a :class:`Layout` is made once and referred to
by its id, and a :class:`Snapshot` is a row of numbers for it. A series is known by the beginning of its
line on `/metrics`, such as `orders_placed_total{kind="gift"}`.
"""

from __future__ import annotations

import json
import uuid
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Family:
    """One family, without its values; it has `size` series.

    `across` says how what several worker processes have for one series becomes one: sum, min or max.
    """

    name: str
    help: str
    type: str
    unit: str
    size: int
    across: str = "max"


@dataclass(frozen=True, slots=True)
class Layout:
    """Which series there are: the families, and the keys of their series one family after the other."""

    families: Sequence[Family]
    keys: Sequence[str]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def encoded(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()


NOTHING = Layout((), (), "nothing")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one process had counted: `values[i]` is the series `layout.keys[i]`.

    `exemplars[i]`, where there is one, is when it was made (Unix seconds) and its text after the `#`.
    """

    layout: Layout
    values: Sequence[float]
    exemplars: Mapping[int, tuple[float, str]]


EMPTY = Snapshot(NOTHING, (), {})


def encode(snapshot: Snapshot, layout: bytes) -> bytes:
    """`snapshot` as bytes, in this machine's number format. `layout` is its layout, encoded."""
    places, exemplars = array("Q", snapshot.exemplars), snapshot.exemplars.values()
    times = array("d", [made for made, _ in exemplars])
    texts = "\n".join([text for _, text in exemplars]).encode("utf-8", "replace")
    head = [snapshot.layout.id, len(snapshot.values), len(places), len(texts)]
    numbers = (array("d", snapshot.values).tobytes(), places.tobytes(), times.tobytes())
    return b"".join((json.dumps(head).encode(), b"\n", *numbers, texts, layout))


def decode(data: bytes, known: Mapping[str, Layout]) -> Snapshot:
    """What :func:`encode` was given; a layout among the `known` ones, by id, is not read again.

    Raises ValueError for anything else.
    """
    lead, _, rest = data.partition(b"\n")
    try:
        identity, size, marked, length = json.loads(lead)
    except (TypeError, ValueError):
        raise ValueError("this is no snapshot") from None
    values, places, times = array("d"), array("Q"), array("d")
    at = 0
    for numbers, count in ((values, size), (places, marked), (times, marked)):
        numbers.frombytes(rest[at : at + 8 * count])
        at += 8 * count
    texts = rest[at : at + length].decode().split("\n") if marked else []
    exemplars = dict(zip(places, zip(times, texts, strict=True), strict=True))
    layout = known.get(identity)
    if layout is None:
        layout = _layout(rest[at + length :])
    if layout.id != identity or len(layout.keys) != len(values):
        raise ValueError("this snapshot was cut short")
    return Snapshot(layout, values, exemplars)


def _layout(data: bytes) -> Layout:
    found = json.loads(data)
    return Layout([Family(**family) for family in found["families"]], found["keys"], found["id"])
