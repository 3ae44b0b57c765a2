"""Make a `requires` of a Java module optional, in its compiled descriptor (JVM specification, 4.7.25).

Elasticsearch's guard module requires `jdk.jlink` and `jdk.jdi`, to forbid calls of these tools. A Java
runtime that was made without them cannot load the guard, although nothing can call what is not there.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Collection
from pathlib import Path

DESCRIPTOR = "module-info.class"
_OPTIONAL = 0x0040
"""ACC_STATIC_PHASE: needed to compile, optional to run."""

_WIDTHS = {
    3: 5,
    4: 5,
    5: 9,
    6: 9,
    7: 3,
    8: 3,
    9: 5,
    10: 5,
    11: 5,
    12: 5,
    15: 4,
    16: 3,
    17: 5,
    18: 5,
    19: 3,
    20: 3,
}
"""Bytes of an entry of the constant pool, by its tag; a text (1) has its length inside."""


def make_optional(jar: Path, modules: Collection[str]) -> None:
    """Let the module in `jar` start without `modules`; nothing else of the jar changes."""
    fresh = jar.with_suffix(".new")
    with zipfile.ZipFile(jar) as old, zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry, optional(data, modules) if entry.filename == DESCRIPTOR else data)
    fresh.replace(jar)


def optional(descriptor: bytes, modules: Collection[str]) -> bytes:
    """The descriptor with each of `modules` optional. Raises ValueError for one it does not require."""
    names, position = _names(descriptor)
    changed = bytearray(descriptor)
    missing = set(modules)
    for place in _requires(descriptor, names, position):
        module, flags = struct.unpack_from(">HH", descriptor, place)
        if names[names[module]] in missing:
            missing.remove(names[names[module]])
            struct.pack_into(">H", changed, place + 2, flags | _OPTIONAL)
    if missing:
        raise ValueError(f"the module does not require {', '.join(sorted(missing))}")
    return bytes(changed)


def _names(data: bytes) -> tuple[dict[int, object], int]:
    """Texts by index, and for names of modules the index of their text; where the constant pool ends."""
    (count,) = struct.unpack_from(">H", data, 8)
    names: dict[int, object] = {}
    position, index = 10, 1
    while index < count:
        tag = data[position]
        if tag == 1:
            (length,) = struct.unpack_from(">H", data, position + 1)
            names[index] = data[position + 3 : position + 3 + length].decode()
            position += 3 + length
        else:
            if tag == 19:
                (names[index],) = struct.unpack_from(">H", data, position + 1)
            position += _WIDTHS[tag]
        index += 2 if tag in (5, 6) else 1
    return names, position


def _requires(data: bytes, names: dict[int, object], position: int) -> list[int]:
    """Where each entry of `requires` is. A descriptor has neither interfaces, fields nor methods."""
    position += 12  # flags, this, super, and three counts of nothing
    (count,) = struct.unpack_from(">H", data, position)
    position += 2
    for _ in range(count):
        name, length = struct.unpack_from(">HI", data, position)
        if names[name] == "Module":
            (entries,) = struct.unpack_from(">H", data, position + 12)
            return [position + 14 + 6 * n for n in range(entries)]
        position += 6 + length
    raise ValueError("no descriptor of a module")
