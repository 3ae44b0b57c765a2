"""The results of scenarios as a table, as Markdown and as JUnit's XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as XML

from dashcam.lab.verify import Result

COLUMNS = ("scenario", "verdict", "signal", "alert", "answer", "took", "recovered", "named first")


def table(results: Sequence[Result]) -> list[list[str]]:
    """The results as rows of text, the first with the columns' names."""
    return [list(COLUMNS), *(_row(one) for one in results)]


def _row(one: Result) -> list[str]:
    times = [_seconds(value) for value in (one.signal, one.alert, one.verdict, one.took, one.recovered)]
    return [one.name, one.word, *times, one.named]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def markdown(results: Sequence[Result]) -> str:
    """The same as a table in Markdown, with a line that counts."""
    rows = table(results)
    alarms = [f"{one.name}: named without a fault: {alarm}" for one in results for alarm in one.alarms]
    lines = [
        f"{sum(one.passed for one in results)} of {len(results)} causes were named first.",
        *(line for alarm in alarms for line in ("", alarm)),
        "",
        "| " + " | ".join(rows[0]) + " |",
        "|" + "---|" * len(rows[0]),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows[1:]),
    ]
    # What a route holds between angle brackets would be taken for HTML, and not shown.
    return "\n".join(lines).replace("<", "&lt;") + "\n"


def junit(results: Sequence[Result]) -> str:
    """The same as JUnit's XML, which CI systems read."""
    suite = XML.Element(
        "testsuite",
        name="scenarios",
        tests=str(len(results)),
        failures=str(sum(bool(one.wrong) for one in results)),
    )
    for one in results:
        case = XML.SubElement(
            suite, "testcase", classname="scenarios", name=one.name, time=f"{one.verdict or 0:.1f}"
        )
        if one.wrong:
            failure = XML.SubElement(case, "failure", message=one.wrong)
            failure.text = f"expected: {one.expected}"
    return XML.tostring(suite, encoding="unicode", xml_declaration=True)
