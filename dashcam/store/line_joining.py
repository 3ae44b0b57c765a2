"""The lines of a stack trace as one: those of Python, Java and its like, JavaScript and Go.

So are the two lines that .NET's console and java.util.logging make of a record.

A trace joins the line before it where that line tells of an error, else it begins a record of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_DOTNET = re.compile(rb"(trce|dbug|info|warn|fail|crit): \S.*\[\d+\]$")
_JAVA = re.compile(rb"[A-Z][a-z]{2} \d{1,2}, \d{4},? \d{1,2}:\d\d:\d\d [AP]M \S+ \S+$")
_JAVA_LEVEL = re.compile(rb"(SEVERE|WARNING|INFO|CONFIG|FINE|FINER|FINEST): ")
MAX_LINES = 1000
"""A longer record is ended here."""

_BEGINS = re.compile(rb"Traceback \(most recent call last\):|  \+ Exception Group Traceback|goroutine \d+ \[")
_FRAME = re.compile(
    rb'\s+(at [\w$.<>/\[(]|File "|\.\.\. \d+ (more|common frames))|Caused by: |\s*Suppressed: '
)
_THROWN = re.compile(rb"([\w$]+\.)+[\w$]*(Exception|Error|Throwable)\b")
_CHAINED = re.compile(rb"(During handling of the above exception|The above exception was the direct cause)")
_GO = re.compile(rb"panic: |goroutine \d+ \[|fatal error: ")
_STAMPED = re.compile(rb"[\[{]|\d{4}[-/]\d\d[-/]\d\d|(TRACE|DEBUG|INFO|WARN|ERROR|CRITICAL|FATAL)\b")
_TROUBLE = re.compile(
    rb"ERROR|CRITICAL|FATAL|SEVERE|WARN|[Ee]xception|[Ee]rror|panic|level=(error|fatal|warn)"
)


class Joiner:
    """Takes lines one by one and answers the records that are complete."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._kind = ""
        """What the open record is: `python`, `go`, `frames`, `headed` or `indented`; empty for a line."""

    def feed(self, line: bytes) -> bytes | None:
        """The record that `line` ends by beginning the next one, if there was one open."""
        if self._lines and self._continues(line):
            self._lines.append(line)
            self._step(line)
            return None
        done = self.flush()
        self._lines = [line]
        self._step(line)
        return done

    def flush(self) -> bytes | None:
        """The open record."""
        done = b"\n".join(self._lines).rstrip(b"\n") if self._lines else None
        self._lines, self._kind = [], ""
        return done or None

    def _continues(self, line: bytes) -> bool:
        if self._lines[0][:1] == b"{" or line[:1] == b"{" or len(self._lines) >= MAX_LINES:
            return False
        if self._headed(line):
            return True
        if self._kind in ("python", "go"):
            # Of Python up to and with the line that names the exception, which a group of them lacks.
            return not _STAMPED.match(line)
        if _BEGINS.match(line) or _THROWN.match(line):
            return bool(self._kind or _TROUBLE.search(self._lines[0]))
        if _FRAME.match(line):
            return True
        return self._kind == "frames" and (not line.strip() or bool(_CHAINED.match(line)))

    def _headed(self, line: bytes) -> bool:
        """Whether `line` is the text of a record whose time and source stand in the line before."""
        if self._kind == "headed":
            return bool(_JAVA_LEVEL.match(line)) and len(self._lines) == 1
        return self._kind == "indented" and line.startswith(b"      ")

    def _step(self, line: bytes) -> None:
        if _GO.match(line):
            self._kind = "go"
        elif _JAVA.match(line):
            self._kind = "headed"
        elif _DOTNET.match(line):
            self._kind = "indented"
        elif _BEGINS.match(line):
            self._kind = "python"
        elif self._kind == "python":
            if line[:1] not in (b" ", b"\t", b""):
                self._kind = "frames"
        elif _FRAME.match(line):
            self._kind = "frames"


def joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The records of lines that were read at once."""
    joiner = Joiner()
    for line in lines:
        if record := joiner.feed(line):
            yield record
    if record := joiner.flush():
        yield record
