"""Record lines of the loggers that people use: `python tests/unit/store/loggers/record.py`.

Needs Node and npm, Go, a JDK and Maven; npm, go and mvn take what is locked from registries. Each logger
writes a warning, and an error with an exception, both of one trace. `recorded.jsonl` has a line for each of
them, with the seconds between which it was written; its folder is called /app there, and the machine host.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
IDS = {"TRACE": "0af7651916cd43dd8448eb211c80319c", "SPAN": "b7ad6b7169203331"}
JAVA = {
    "Logback": ("logback", "-Dlogback.configurationFile=java/logback-own.xml"),
    "Logback with Logstash's encoder": ("logback", "-Dlogback.configurationFile=java/logback-logstash.xml"),
    "Log4j 2, EcsLayout.json": ("log4j", "-Dlog4j2.configurationFile=java/log4j2-ecs.xml"),
    "Log4j 2, JsonLayout.json": ("log4j", "-Dlog4j2.configurationFile=java/log4j2-json.xml"),
}


def commands() -> dict[str, list[str]]:
    """How each logger's program is run, in the copy of this folder."""
    return {
        **{name: ["node", "node/log.js", name] for name in ("pino", "winston", "bunyan")},
        **{name: ["go/log", name] for name in ("slog", "zap", "zerolog")},
        **{
            name: ["java", "-cp", f"java:java/{jars}/*", option, "Log"]
            for name, (jars, option) in JAVA.items()
        },
    }


def install(folder: Path) -> None:
    """Bring what the programs run on into the copy."""
    maven = ["mvn", "--quiet", "--batch-mode", "--file", "java/pom.xml", "dependency:copy-dependencies"]
    for command in (
        ["npm", "ci", "--prefix", "node", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=optional"],
        ["go", "build", "-C", "go", "-mod=readonly", "-trimpath", "-o", "log", "."],
        [*maven, "-Plogback", "-DoutputDirectory=logback"],
        [*maven, "-Plog4j", "-DoutputDirectory=log4j"],
        ["javac", "-cp", "java/logback/*", "-d", "java", "java/Log.java"],
    ):
        subprocess.run(command, cwd=folder, check=True)


def lines_of(name: str, command: list[str], folder: Path) -> list[dict[str, object]]:
    """What one logger wrote, a row a line."""
    began = int(time.time())  # zerolog writes whole seconds
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **IDS}, stdout=subprocess.PIPE, text=True, check=True
    )
    text = done.stdout.replace(str(folder), "/app").replace(f'"{socket.gethostname()}"', '"host"')
    return [
        {"logger": name, "after": began, "before": time.time(), "line": line} for line in text.splitlines()
    ]


def main() -> None:
    """Write `recorded.jsonl` anew."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve() / "loggers"
        shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("node_modules", "*.jsonl"))
        install(folder)
        rows = [row for name, command in commands().items() for row in lines_of(name, command, folder)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    assert not re.search(r"/(home|root|Users|work)/", text)
    (HERE / "recorded.jsonl").write_text(text)


if __name__ == "__main__":
    main()
