"""The files of a service as the template gives them, as `{path below the checkout: text}`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import jinja2

from observability.version import VERSION

TEMPLATE = "services/template"
FOLDERS = {
    "service": "services/NAME",
    "k8s": "k8s/base/services/NAME",
    "unit": "tests/unit/NAME",
    "contract": "tests/contract",
}
"""Where each folder of the template goes."""
LOCKED = ("requirements.in", "requirements.txt")
"""These are real files of the template, so that `make lock` resolves them like those of any service."""


@dataclass(frozen=True)
class Answers:
    """What the template asks for."""

    name: str
    port: int
    owner: str
    description: str


def files(answers: Answers, root: Path) -> dict[str, str]:
    """Every file of the service."""
    template = root / TEMPLATE
    found = {}
    for folder, target in FOLDERS.items():
        for path in sorted((template / folder).glob("*.jinja")):
            place = f"{target}/{path.name.removesuffix('.jinja')}".replace("NAME", answers.name)
            found[place] = _rendered(path, answers)
    for name in LOCKED:
        text = (template / name).read_text(encoding="utf-8")
        found[f"services/{answers.name}/{name}"] = text.replace(TEMPLATE, f"services/{answers.name}")
    return found


def entry(answers: Answers, root: Path) -> str:
    """The service's entry in services/catalogue.yaml."""
    return _rendered(root / TEMPLATE / "entry.yaml.jinja", answers)


def _rendered(path: Path, answers: Answers) -> str:
    values = {**asdict(answers), "variable": answers.name.upper(), "version": VERSION}
    template = jinja2.Template(
        path.read_text(encoding="utf-8"), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return str(template.render(values))
