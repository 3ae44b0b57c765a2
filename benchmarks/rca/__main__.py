"""Diagnose every window of a data set and print the score.

`python -m benchmarks.rca FOLDER [--write] [--only TEXT] [--keep FOLDER] [--export FOLDER]`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.rca import nezha, report
from benchmarks.rca.memory import sources
from benchmarks.rca.scoring import keep, outcome
from dashcam.export.exporting import export

IMPORTERS = (nezha,)


def main() -> None:
    """Read the folder with the importer that knows it, score, and print or write the result."""
    parser = argparse.ArgumentParser(prog="benchmarks.rca", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help="put the result into docs/diagnosis.md")
    parser.add_argument("--only", default="", metavar="TEXT", help="windows of whose names this is a part")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep what each diagnosis saw, cut short")
    parser.add_argument(
        "--export", type=Path, metavar="FOLDER", help="write each window for `dashcam open` instead"
    )
    arguments = parser.parse_args()
    importer = next((one for one in IMPORTERS if one.fits(arguments.folder)), None)
    if importer is None:
        sys.exit(f"no importer knows the data set in {arguments.folder}: see benchmarks/rca/")
    outcomes = []
    for case in importer.cases(arguments.folder):
        if arguments.only not in case.name:
            continue
        if arguments.keep:
            keep(case, arguments.keep)
        if arguments.export:
            name = case.name.replace(" ", "-").replace(":", "")
            begin = min((one.start / 1e6 for one in case.traces), default=case.start)
            print(export(sources(case), arguments.export / f"{name}.zip", begin, case.end))
            continue
        outcomes.append(outcome(case))
        print(report.line(outcomes[-1]), flush=True)
    if not outcomes:
        return
    text = report.text(outcomes)
    print(f"\n{text}")
    if arguments.write:
        report.write(text)


if __name__ == "__main__":
    main()
