"""Walks through pages: what is a step, and when what was printed is what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from walks.walking import Shell, Step, fits, steps, walk

PAGE = """
```sh
echo first
```

```text
first
```

<!-- walk: not run, because it would take an hour -->
```sh
sleep 3600
```

```python title="a.py"
print(1)
```

<!-- walk: within 5 s, status 1 -->
```sh
test -f a.py && false
```
"""


def test_blocks_of_commands_are_steps_with_what_is_shown_and_what_remarks_say() -> None:
    first, second = steps(PAGE)
    assert (first.script, first.shown) == ("echo first\n", "first\n")
    assert (second.within, second.status, second.files) == (5.0, 1, (("a.py", "print(1)\n"),))


def test_a_page_is_walked_in_one_shell(tmp_path: Path) -> None:
    with Shell(tmp_path, {"PATH": "/usr/bin:/bin"}, {":5000": ":1234"}) as shell:
        assert list(walk(PAGE, shell)) == ["first\n", ""]
        assert shell.run("a=localhost:5000") == (0, "")
        assert shell.run("echo $a; printf 1234") == (0, "localhost:5000\n1234")


@pytest.mark.parametrize("broken", [("echo first", "echo second"), ("&& false", "&& true")])
def test_another_output_and_another_status_fail_with_the_line(
    broken: tuple[str, str], tmp_path: Path
) -> None:
    page = PAGE.replace(*broken).replace("within 5 s, ", "")
    with (
        Shell(tmp_path, {"PATH": "/usr/bin:/bin"}, {}) as shell,
        pytest.raises(AssertionError, match="line "),
    ):
        list(walk(page, shell))


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("took 3.1 ms, 2 spans", "took 14 ms, 9 spans", True),
        ("took 3.1 ms", "took 14 ms longer", False),
        ("2026-11-29 14:29:44 UTC", "2027-01-01 00:00:00 UTC", True),
        ("trace 38f1769edca534053948674f17f1ad62", "trace 954a88ba8ed98c7068d3f133cb46d8c9", True),
        ("car  =--==   3 ms", "car        ==--====  7 ms", True),
        ("a\n…\nz", "a\nb\nc\nz", True),
        ("a\nz", "a\nb\nz", False),
        ("is slow …", "is slow, since when", False),
        ("is slow…", "is slow, since when", True),
        ("first", "second", False),
    ],
)
def test_words_must_be_the_same_and_figures_may_differ(shown: str, printed: str, same: bool) -> None:
    assert fits(shown, printed) is same


def test_a_step_without_a_shown_output_only_needs_its_status() -> None:
    assert steps("```sh\ntrue\n```") == [Step(1, "true\n")]
