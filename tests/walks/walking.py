"""The commands of a page of documentation, run as a reader would, and what they print held to what is shown.

A fenced block `sh` is a step; a block `text` right after it is what it prints. `…` alone on a line stands for
any lines, inside of a line for any text. Numbers, ids, times, ports and the marks of a waterfall may differ,
words may not. A comment before a block says more:

    <!-- walk: within 60 s, status 1 -->     run it again until it fits, for so long; it ends with this status
    <!-- walk: not run, because ... -->

A block of another language with `title="name"` is a file, which is written where the commands run.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from markdown_it import MarkdownIt
from markdown_it.token import Token

REMARK = re.compile(r"<!-- walk: (.*) -->")
LEFT_OUT = "…"


@dataclass(frozen=True)
class Step:
    """One block of commands, and what the page says of it."""

    line: int
    script: str
    shown: str | None = None
    within: float = 0.0
    status: int = 0
    files: tuple[tuple[str, str], ...] = ()


def steps(page: str) -> list[Step]:
    """The steps of a page, in order."""
    found: list[Step] = []
    remark, files = "", []
    tokens = MarkdownIt().parse(page)
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "html_block" and (said := REMARK.search(token.content)):
            remark = said[1]
        elif token.type == "fence" and (name := re.search(r'title="([^"]+)"', token.info)):
            files.append((name[1], token.content))
        elif token.type == "fence" and token.info == "sh":
            if not remark.startswith("not run, because "):
                found.append(_step(token, following, remark, files))
                files = []
            remark = ""
    return found


def _step(token: Token, following: Token | None, remark: str, files: Sequence[tuple[str, str]]) -> Step:
    shown = (
        following.content if following and following.type == "fence" and following.info == "text" else None
    )
    within = re.search(r"within (\d+) s", remark)
    status = re.search(r"status (\d+)", remark)
    assert token.map is not None
    return Step(
        token.map[0] + 1,
        token.content,
        shown,
        float(within[1]) if within else 0.0,
        int(status[1]) if status else 0,
        tuple(files),
    )


@dataclass
class Shell:
    """A shell that stays, so that what one step sets is there for the next."""

    folder: Path
    environ: Mapping[str, str]
    substitutions: Mapping[str, str]
    END = "-- end of step"

    def __enter__(self) -> Shell:
        self._process = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env=dict(self.environ),
        )
        return self

    def __exit__(self, *error: object) -> None:
        self.run("kill $(jobs -p) 2>/dev/null; wait")
        self._input.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def run(self, script: str) -> tuple[int, str]:
        """The exit status of the last command, and all that was printed, with the page's own addresses."""
        for said, meant in self.substitutions.items():
            script = script.replace(said, meant)
        self._input.write(f"{script}\nprintf '\\n%s %s\\n' '{self.END}' $?\n")
        self._input.flush()
        lines: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(self.END):
                text = "".join(lines).removesuffix("\n")
                for said, meant in self.substitutions.items():
                    text = text.replace(meant, said)
                return int(line.removeprefix(self.END)), text
            lines.append(line)
        raise AssertionError(f"the shell ended in the midst of:\n{script}")


def walk(page: str, shell: Shell) -> Iterator[str]:
    """Run every step, and yield what each printed; fails where one does not do what the page says."""
    for step in steps(page):
        for name, content in step.files:
            (shell.folder / name).write_text(content, encoding="utf-8")
        deadline = time.monotonic() + step.within
        while True:
            status, printed = shell.run(step.script)
            complaint = differs(step, status, printed)
            if not complaint:
                break
            assert time.monotonic() < deadline, f"line {step.line}: {complaint}"
            time.sleep(1)
        yield printed


def differs(step: Step, status: int, printed: str) -> str | None:
    """What is other than the page says, or None."""
    if status != step.status:
        return f"ended with {status}, not {step.status}:\n$ {step.script}{printed}"
    if step.shown is not None and not fits(step.shown, printed):
        return f"printed something else than is shown:\n$ {step.script}{printed}\n-- shown:\n{step.shown}"
    return None


def fits(shown: str, printed: str) -> bool:
    """Whether what was printed is what is shown, but for what differs from run to run."""
    pattern = ""
    for line in shown.strip("\n").splitlines():
        if line.strip() == LEFT_OUT:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(part) for part in usual(line).split(LEFT_OUT)) + r"\n"
    text = "".join(f"{usual(line)}\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch(pattern, text) is not None


_USUAL = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{32}\b|\b(?=[a-f]*[0-9])[0-9a-f]{7}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "DAY"),
    (re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?"), "TIME"),
    (re.compile(r"(?<=\s)[=-][=\- ]*[=-](?=\s)|(?<=\s)[=-](?=\s)"), "BAR"),
    (re.compile(r"\d+(?:[.,]\d+)*(?:\s?(?:ns|µs|ms|s|m|h)\b)?"), "N"),
    (re.compile(r"\s+"), " "),
)


def usual(line: str) -> str:
    """The line with a word in the place of whatever differs from run to run."""
    for pattern, word in _USUAL:
        line = pattern.sub(word, line)
    return line.strip()
