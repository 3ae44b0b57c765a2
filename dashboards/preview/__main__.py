"""`python -m dashboards.preview`: the dashboards as HTML pages, with the data of the running stack."""

from __future__ import annotations

import json
import time
from html import escape
from pathlib import Path
from typing import Any

import click

from dashboards.preview.render import Window, defaults, render
from dashcam.sources import SourceError, SourceSettings, connect
from observability.settings import SettingError, from_environ

HERE = Path(__file__).resolve().parent
BOARDS = HERE.parent / "generated" / "grafana" / "dashboards"

PICTURED = ("overview", "service")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path(".dashcam/dashboards"),
    show_default=True,
    help="The folder to write to.",
)
@click.option(
    "--minutes", type=click.FloatRange(1, 1440), default=15.0, show_default=True, help="How far back."
)
@click.option("--service", default="car", show_default=True, help="The service of the page of one service.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder for pictures of the overview and of the service; needs `make dev` and Chromium.",
)
@click.option("--prometheus-url", help="Prometheus. Default: the environment, then the running stack.")
def main(out: Path, minutes: float, service: str, pictures: Path | None, prometheus_url: str | None) -> None:
    """Draw every generated dashboard against Prometheus."""
    given: dict[str, Any] = {"prometheus_url": prometheus_url} if prometheus_url else {}
    try:
        prometheus = connect(from_environ(SourceSettings, **given)).metrics
        prometheus.instant("up")
    except (SettingError, SourceError) as error:
        raise click.ClickException(str(error)) from None
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(BOARDS.glob("*.json"))]
    boards.sort(key=lambda board: board["uid"] != "dashcam-overview")
    out.mkdir(parents=True, exist_ok=True)
    end = time.time()
    for board in boards:
        window = Window(end, minutes * 60, defaults(board) | {"service": service})
        page = out / f"{board['uid']}.html"
        page.write_text(_page(board, boards, render(board, prometheus, window)), encoding="utf-8")
        click.echo(page)
    if pictures:
        from dashboards.preview.pictures import take  # Playwright is there for development only

        for picture in take(
            {f"dashboards-{name}": out / f"dashcam-{name}.html" for name in PICTURED}, pictures
        ):
            click.echo(picture)


def _page(board: dict[str, Any], boards: list[dict[str, Any]], body: str) -> str:
    links = "".join(
        f'<a href="{other["uid"]}.html"{" aria-current=page" if other is board else ""}>'
        f"{escape(other['title'])}</a>"
        for other in boards
    )
    style = (HERE / "preview.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(board['title'])}</title><style>{style}</style></head>"
        f'<body><nav aria-label="Dashboards">{links}</nav><main>{body}</main></body></html>\n'
    )


if __name__ == "__main__":
    main()
