"""`write(2)` without giving the interpreter away, for where it cannot wait.

`os.write` releases the GIL around the call. In a server with several busy threads another one takes it, and
the thread that has written a line of 400 bytes, in a microsecond, waits for the rest of somebody else's
request, to be woken on another processor: a quarter of the CPU of a whole request (docs/overhead.md).
"""

from __future__ import annotations

import ctypes
import os

_held = ctypes.PyDLL(None).write  # CDLL would release the lock as well
_held.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
_held.restype = ctypes.c_ssize_t


def write(descriptor: int, data: bytes) -> int:
    """As `os.write`: the bytes that were taken; raises OSError.

    For a non-blocking descriptor or a regular file, of which the page cache takes the bytes. On anything else
    a slow reader would stop the whole process.
    """
    taken: int = _held(descriptor, data, len(data))
    # Whatever the reason was, it is still there, or was an interruption: let Python say which.
    return taken if taken >= 0 else os.write(descriptor, data)
