"""The score in words, for a terminal and for docs/diagnosis.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.rca.baselines import RULES
from benchmarks.rca.scoring import OURS, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "diagnosis.md"
BEGIN, END = "<!-- bench-rca begins -->", "<!-- bench-rca ends -->"


def line(one: Outcome) -> str:
    """One window in a line."""
    mark = ("wrong" if one.wrong else "right") if one.service else ("alarm" if one.harmed else "quiet")
    return f"{mark:5} {one.seconds:4.1f} s  {one.name}: {one.summary} {one.confidence}"


def text(outcomes: Sequence[Outcome]) -> str:
    """The tables, and every miss."""
    return "\n".join(_text(outcomes))


def _text(outcomes: Sequence[Outcome]) -> Iterator[str]:
    faults = [one for one in outcomes if one.service]
    kinds = sorted({one.kind for one in faults})
    yield (
        f"| | first right, of {len(faults)} | among the first three | "
        + " | ".join(f"{kind}, of {sum(one.kind == kind for one in faults)}" for kind in kinds)
        + " |"
    )
    yield "|" + "---|" * (3 + len(kinds))
    for name in (OURS, *RULES):
        first = [one for one in faults if one.places.get(name) == 1]
        three = sum((one.places.get(name) or 99) <= 3 for one in faults)
        by_kind = " | ".join(str(sum(one.kind == kind for one in first)) for kind in kinds)
        yield f"| {name} | {len(first)} | {three} | {by_kind} |"
    yield ""
    yield from _alarms(outcomes)
    yield from _misses(faults)


def _alarms(outcomes: Sequence[Outcome]) -> Iterator[str]:
    calm = [one for one in outcomes if not one.service]
    for state, some in (
        ("healthy", [one for one in calm if one.healthy]),
        (
            "not healthy themselves (5 % of their requests or more fail)",
            [one for one in calm if not one.healthy],
        ),
    ):
        alarms = sum(one.harmed for one in some)
        yield f"- Windows without a fault that are {state}: harm named in {alarms} of {len(some)}."
    high = [one for one in outcomes if one.confidence == "high"]
    wrong = [one for one in high if one.wrong or (not one.service and one.healthy and one.harmed)]
    yield f"- First causes said with high confidence: {len(high)}, of which wrong: {len(wrong)}."
    slowest = max(one.seconds for one in outcomes)
    yield f"- Slowest diagnosis: {slowest:.1f} s of processor time."


def _misses(faults: Sequence[Outcome]) -> Iterator[str]:
    missed = [one for one in faults if one.wrong]
    yield ""
    yield "Every miss:" if missed else "No miss."
    yield ""
    for one in missed:
        yield f"- {one.name}: «{one.summary}» ({one.confidence or 'no cause named'})"


def write(text: str) -> None:
    """Put the text between the two marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
