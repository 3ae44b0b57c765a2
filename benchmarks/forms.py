"""One of two forms of a thing that are measured side by side: its processes, and what each round gave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil


@dataclass
class Form:
    """One form, running at `url`. `figures` holds what each round gave, `failed` how many requests failed."""

    url: str
    processes: list[psutil.Process]
    figures: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0

    def cpu(self) -> float:
        """Seconds of processor time of all its processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._all())

    def memory(self) -> float:
        """MiB that its processes hold, shared pages counted in proportion."""
        return float(sum(process.memory_full_info().pss for process in self._all()) / 2**20)

    def note(self, name: str, value: float) -> None:
        """Add a round's figure."""
        self.figures.setdefault(name, []).append(value)

    def _all(self) -> Iterator[psutil.Process]:
        for process in self.processes:
            yield process
            yield from process.children(recursive=True)


def end_process(process: psutil.Popen) -> None:
    """End a process, by force after 15 seconds."""
    process.terminate()
    try:
        process.wait(15)
    except psutil.TimeoutExpired:
        process.kill()
