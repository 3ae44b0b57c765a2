"""Run a service as on a host that is out of order: with a clock that is off, or no room for its log.

    python dashcam/lab/faulty_host.py --clock 7.5 --log full services.car

By path and not as a module: the clock must be set before anything imports it, and `python -m` would import
the package first. The clock is what Python programs read (`time.time`, `time.time_ns`); that of the machine
stays as it is. A full disk is /dev/full, and a pipe that nobody reads where there is none: writing fails.
"""

import argparse
import os
import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """Change what is asked for, then become the service."""
    parser = argparse.ArgumentParser(prog="oddhost", description="Run a service as on an odd host.")
    parser.add_argument("--clock", type=float, default=0.0, help="seconds that its clock is ahead")
    parser.add_argument("--log", choices=("kept", "full"), default="kept", help="whether its disk is full")
    parser.add_argument("module", help="the service's module, such as services.car")
    asked = parser.parse_args()
    # This folder comes first as the script's own, and its modules have names that others have too.
    sys.path[0] = os.getcwd()
    if asked.clock:
        set_clock(asked.clock)
    if asked.log == "full":
        fill_log()
    sys.argv = [asked.module]
    runpy.run_module(asked.module, run_name="__main__", alter_sys=True)


def set_clock(ahead: float) -> None:
    """Let this process's clock be `ahead` seconds ahead, or behind where it is negative."""
    right, right_ns, nanoseconds = time.time, time.time_ns, int(ahead * 1e9)
    time.time = lambda: right() + ahead
    time.time_ns = lambda: right_ns() + nanoseconds


def fill_log() -> None:
    """Let every write to standard output fail."""
    if Path("/dev/full").exists():
        end = os.open("/dev/full", os.O_WRONLY)
    else:
        nobody, end = os.pipe()
        os.close(nobody)
    os.dup2(end, sys.stdout.fileno())
    os.close(end)


if __name__ == "__main__":
    main()
