"""`python -m telemetry_schema`: write telemetry_schema/registry; with --check, only compare."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from telemetry_schema.registry import files

REGISTRY = Path(__file__).parent / "registry"


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is not what the code declares.")
def main(check: bool) -> None:
    """Generate the registry from the declared metrics, log fields and span attributes."""
    made = files(version("dashcam"))
    present = {path.name: path.read_text(encoding="utf-8") for path in REGISTRY.glob("*.yaml")}
    if check and present != made:
        stale = sorted(name for name in {*made, *present} if made.get(name) != present.get(name))
        raise click.ClickException(
            f"not what the code declares: {', '.join(stale)}; run: make telemetry-schema"
        )
    for path in REGISTRY.glob("*.yaml"):
        if path.name not in made and not check:
            path.unlink()
    for name, text in made.items() if not check else ():
        (REGISTRY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
