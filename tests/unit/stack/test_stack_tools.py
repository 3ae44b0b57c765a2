"""Programs built once into a cache, with a `go` of the test's own in place of the compiler."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from dashcam.stack import build_tools, tool_recipes, tools
from dashcam.stack.settings import ROOT
from dashcam.stack.tool_recipes import Installed, Tool

MADE = Tool(
    "made",
    "1.2.3",
    "does something",
    Installed("example.test/made", "v1.2.3"),
    variable="MADE_BINARY",
    on_path=("made-release",),
    effort="a moment",
    elsewhere="put `made-release` on PATH",
)

GO = """#!/bin/sh
echo "$@" >> "$COUNTED"
printf '#!/bin/sh\\necho made 1.2.3\\n' > "$GOBIN/made" && chmod +x "$GOBIN/made"
"""


class Machine:
    """A cache, a PATH and a folder of links of the test's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.links = folder / "path", folder / "links"
        self.counted = folder / "counted"
        self.path.mkdir()
        monkeypatch.setenv("PATH", f"{self.path}:/usr/bin:/bin")
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setenv("COUNTED", str(self.counted))
        monkeypatch.delenv("MADE_BINARY", raising=False)
        for module in (tools, build_tools):
            monkeypatch.setattr(module, "BIN", self.links)

    def has(self, name: str, text: str) -> Path:
        program = self.path / name
        program.write_text(text)
        program.chmod(0o755)
        return program

    @property
    def builds(self) -> int:
        return len(self.counted.read_text().splitlines()) if self.counted.exists() else 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_program_is_built_once_and_linked(machine: Machine) -> None:
    machine.has("go", GO)

    built = build_tools.provide(MADE)
    again = build_tools.provide(MADE)

    assert (built, machine.builds) == (again, 1)
    assert (machine.links / "made").resolve() == Path(built)
    assert MADE.path() == built
    assert MADE.had() == "built from its Go module v1.2.3"


def test_another_checkout_takes_it_from_the_cache(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has("go", GO)
    build_tools.provide(MADE)
    monkeypatch.setattr(build_tools, "BIN", machine.links.with_name("other"))
    (machine.path / "go").unlink()

    build_tools.provide(MADE)

    assert machine.builds == 1
    assert (machine.links.with_name("other") / "made").exists()


def test_another_version_is_another_program(machine: Machine) -> None:
    machine.has("go", GO)
    newer = Tool(**{**vars(MADE), "version": "1.2.4", "recipe": Installed("example.test/made", "v1.2.4")})

    assert build_tools.provide(MADE) != build_tools.provide(newer)
    assert machine.builds == 2
    assert MADE.path() != newer.path()
    assert (machine.links / "made").resolve() == newer.cached


def test_what_the_person_has_is_used_and_nothing_is_built(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.has("go", GO)
    released = machine.has("made-release", "#!/bin/sh\necho made 9.9.9\n")

    assert build_tools.provide(MADE) == MADE.path() == str(released)
    named = machine.has("mine", "#!/bin/sh\necho made 8.8.8\n")
    monkeypatch.setenv("MADE_BINARY", str(named))
    assert build_tools.provide(MADE) == MADE.path() == str(named)

    assert machine.builds == 0
    said = capsys.readouterr().err
    assert "(9.9.9)" in said
    assert "(8.8.8)" in said
    assert MADE.had() == "found on this machine as `mine`"


def test_a_variable_that_names_nothing_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MADE_BINARY", "/nowhere/made")

    with pytest.raises(tool_recipes.MissingTool, match=r"MADE_BINARY='/nowhere/made' is no program"):
        build_tools.provide(MADE)


def test_without_go_the_message_says_how_to_get_it_and_what_else_would_do(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine.path))

    with pytest.raises(tool_recipes.MissingTool) as missing:
        build_tools.provide(MADE)

    for part in ("Go is not on PATH", "apt-get install golang-go", "made-release", "MADE_BINARY="):
        assert part in str(missing.value)


def test_a_build_that_fails_shows_the_compilers_words_and_leaves_nothing(machine: Machine) -> None:
    machine.has("go", "#!/bin/sh\necho 'undefined: Frobnicate'\nexit 1\n")

    with pytest.raises(build_tools.BuildError, match="undefined: Frobnicate"):
        build_tools.provide(MADE)

    assert not MADE.cached.parent.exists()
    assert [path.name for path in tool_recipes.cache().iterdir()] == [".made.lock"]


def test_a_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert build_tools.main(["yaeger"]) == 2
    assert "there is no tool yaeger: name some of jaeger" in capsys.readouterr().err


def test_the_kubernetes_programs_are_the_version_that_their_module_pins() -> None:
    pinned = (ROOT / "tests/apiserver/programs/go.mod").read_text().split()
    for module, version in (
        ("k8s.io/kubernetes", tools.KUBERNETES_VERSION),
        ("go.etcd.io/etcd/server/v3", tools.ETCD.version),
    ):
        assert f"v{version}" in (after for name, after in pairwise(pinned) if name == module)


def test_what_is_on_demand_is_built_when_it_is_named_only(monkeypatch: pytest.MonkeyPatch) -> None:
    had: list[str] = []
    monkeypatch.setattr(build_tools, "provide", lambda tool: had.append(tool.name))

    assert build_tools.main([]) == 0
    assert "jaeger" in had
    assert "kube-apiserver" not in had
    assert build_tools.main(["kube-apiserver"]) == 0
    assert had[-1] == "kube-apiserver"
