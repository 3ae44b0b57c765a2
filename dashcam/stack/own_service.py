"""A program of `dashcam.toml` as a part of the stack: `python -m dashcam.stack.own_service FILE NAME`.

It runs as under `dashcam run`, but for showing its output: that is kept, and its supervisor restarts it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dashcam.stack.own_file import BadFile, read_file
from dashcam.stack.own_program import prepared
from dashcam.stack.own_run import NotStarted, Run
from dashcam.stack.ownership import MARK
from dashcam.stack.settings import read


def main(file: str, name: str) -> int:
    """Run the program of that name until it ends; its exit status, or 2 where it cannot be run."""
    try:
        (own,) = [program for program in read_file(Path(file)).programs if program.name == name]
        os.chdir(own.folder)
        if own.replaces:  # it is a service as those that it stands in for, and told what they are told
            os.execvpe(own.command[0], own.command, {**os.environ, **own.environment})  # noqa: S606
        settings = read()
        # What a service of ours reads is not meant for it.
        environ = {key: value for key, value in os.environ.items() if key not in settings.as_environ()}
        environ = {**environ, **own.environment, MARK: os.environ.get(MARK, "")}
        program = prepared(
            own.command, settings, environ, name=name, port=own.port, instrument=own.instrument
        )
        return Run(program, settings, _say, show=False).to_its_end(own.metrics_port)
    except (BadFile, NotStarted, OSError, ValueError) as error:
        _say(str(error))
        return 2


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
