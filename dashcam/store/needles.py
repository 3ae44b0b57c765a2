"""Looking for several byte strings in many BLOBs.

Done in Python because `bytes` is searched several times faster than SQLite's `instr` does it.
"""

from __future__ import annotations

from collections.abc import Iterable


class AllOf:
    """Holds for a BLOB that contains, for every group given, one of its alternatives.

    The group that failed last is tried first: a rare word rules out most blocks at the first look.
    """

    def __init__(self, groups: Iterable[Iterable[bytes]]) -> None:
        self._groups = [tuple(group) for group in groups]

    def __bool__(self) -> bool:
        return bool(self._groups)

    def within(self, blob: bytes) -> bool:
        """Whether the BLOB contains them."""
        for i, group in enumerate(self._groups):
            if not any(needle in blob for needle in group):
                if i:
                    self._groups.insert(0, self._groups.pop(i))
                return False
        return True
