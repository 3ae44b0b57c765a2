"""`python -m docs.site`: build the documentation into .dashcam/site; a warning of any kind fails it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from docs.site import generated
from docs.site.stage import SiteError, Stage, expanded, on_site, pages_of, tracked_files

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
STATE = ROOT / ".dashcam" / "site"


@click.command()
@click.option("--serve", is_flag=True, help="Show it on this machine instead, at port 8080.")
def main(serve: bool) -> None:
    """Stage the pages, check every link of them, and build the site from them."""
    try:
        configuration = stage(ROOT, STATE)
    except SiteError as error:
        raise click.ClickException(str(error)) from None
    command = [str(Path(sys.executable).with_name("zensical"))]
    command += ["serve", "-a", "127.0.0.1:8080"] if serve else ["build", "--clean", "--strict"]
    command += ["-f", str(configuration)]
    status = subprocess.run(command, cwd=STATE, check=False).returncode  # noqa: S603 # made of our own words
    if status == 0 and not serve:
        click.echo(f"open {STATE / 'html' / 'index.html'}")
    sys.exit(status)


def stage(root: Path, folder: Path) -> Path:
    """Write all that the builder reads below `folder`; return its configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    made = generated.pages(root)
    tracked = tracked_files(root)
    navigation = expanded(
        yaml.safe_load((HERE / "navigation.yaml").read_text(encoding="utf-8")), [*tracked, *made]
    )
    pages = pages_of(navigation)
    ours = Stage(root, folder / "pages", tracked)
    ours.problems += complaints(pages, tracked, made)
    ours.copy([page for page in pages if page in tracked])
    for path, text in made.items():
        ours.write(path, text)
    if ours.problems:
        raise SiteError("\n".join(ours.problems))
    return configured(root, folder, navigation)


def complaints(pages: list[str], tracked: list[str], made: dict[str, str]) -> list[str]:
    """What is named and is not there, is there and not named, or is named twice."""
    found = [
        f"navigation.yaml names {page}, which is not there" for page in pages if page not in {*tracked, *made}
    ]
    found += [f"navigation.yaml names {page} twice" for page in sorted(set(pages)) if pages.count(page) > 1]
    kept = [name for name in tracked if name.startswith("docs/") and name.endswith(".md")]
    found += [f"navigation.yaml does not name {page}" for page in [*kept, *made] if page not in pages]
    return found


def configured(root: Path, folder: Path, navigation: list[Any]) -> Path:
    """The builder's configuration, with the navigation and where things are."""
    settings = yaml.safe_load((HERE / "mkdocs.yml").read_text(encoding="utf-8"))
    settings |= {"docs_dir": "pages", "site_dir": "html", "nav": on_site(navigation)}
    (plugin,) = [each["mkdocstrings"] for each in settings["plugins"] if "mkdocstrings" in each]
    plugin["handlers"]["python"]["paths"] = [str(root)]
    path = folder / "mkdocs.yml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
