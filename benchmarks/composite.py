"""An order as a saga over services and a broker, and as one transaction of a composite (docs/composite.md).

    python -m benchmarks.composite [--rounds 5] [--orders 200]

Both run at the same time, as `make up` starts them: durable databases, metrics, access lines, and traces that
are made and sent to nobody. They are given the same orders in turn, one by one; an order's time is that
from its POST until a GET shows it decided. The figures are medians over the rounds. Processor time and memory
(proportional set size) are those of all processes of a form; lines are those with code on them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
import tokenize
from collections.abc import Iterator
from pathlib import Path

import psutil
import urllib3

from benchmarks.forms import Form, end_process
from dashcam.stack.needs import NATS
from dashcam.stack.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
SAGA = ("orders", "dealer", "car", "minus")
ORDER = {"maker": "bentz", "model": "e-class", "discount": 500}
LINES = {
    "saga": ("services/orders", "services/dealer", "services/messages", "services/car/reservation*"),
    "composite": ("examples/composite", "services/dealer/catalogue.py"),
}
"""What each form consists of, without what both share: routes, storage, the library."""
SHARED = ("services/orders/routes.py",)


@contextlib.contextmanager
def running(commands: dict[str, list[str]], environ: dict[str, str], folder: Path) -> Iterator[Form]:
    """The programs, each with a port of its own in `environ`; the first is the one that is asked."""
    with contextlib.ExitStack() as ended:
        processes = []
        for name, command in commands.items():
            own = {
                **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
                **environ,
                "PORT": environ.get(f"{name.upper()}_PORT", "0"),
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(free_port()),
                "OTEL_TRACES_EXPORTER": "none",
                "DASHCAM_STATE_DIR": str(folder),
            }
            log = ended.enter_context((folder / f"{name}.log").open("wb"))
            process = psutil.Popen(command, env=own, stdout=log, stderr=log, cwd=ROOT)
            ended.callback(end_process, process)
            processes.append(process)
        first = next(iter(commands))
        form = Form(f"http://127.0.0.1:{environ[f'{first.upper()}_PORT']}", processes)
        _ready(form)
        yield form


def _ready(form: Form) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(urllib3.exceptions.HTTPError, TimeoutError):
            place(form, 5)
            return
        if time.monotonic() > end:
            raise RuntimeError(f"{form.url} decided no order within a minute")
        time.sleep(0.2)


def place(form: Form, patience: float = 30.0) -> tuple[float, float]:
    """Seconds until an order was answered, and until it was confirmed."""
    began = time.perf_counter()
    headers = {"Content-Type": "application/json"}
    answer = POOL.request("POST", f"{form.url}/orders", body=json.dumps(ORDER), headers=headers)
    answered = time.perf_counter() - began
    order = answer.json()
    while order.get("state") != "confirmed":
        if order.get("state") == "cancelled" or time.perf_counter() - began > patience:
            raise TimeoutError(f"the order was not confirmed: {order}")
        time.sleep(0.002)
        order = POOL.request("GET", f"{form.url}/orders/{order['id']}").json()
    return answered, time.perf_counter() - began


POOL = urllib3.PoolManager(maxsize=2, retries=False, timeout=10)


def measure(form: Form, orders: int) -> None:
    """One round of one form."""
    before = form.cpu()
    times = [place(form) for _ in range(orders)]
    answered, decided = (sorted(each) for each in zip(*times, strict=True))
    form.note("until answered, p50 ms", statistics.median(answered) * 1e3)
    form.note("until decided, p50 ms", statistics.median(decided) * 1e3)
    form.note("until decided, p99 ms", decided[int(orders * 0.99)] * 1e3)
    form.note("CPU ms an order", (form.cpu() - before) * 1e3 / orders)
    form.note("memory MiB", form.memory())


def lines(patterns: tuple[str, ...]) -> int:
    """Lines of code in these folders and files, without blank ones, comments and docstrings."""
    found: set[Path] = set()
    for pattern in patterns:
        for path in ROOT.glob(pattern):
            found |= set(path.rglob("*.py")) if path.is_dir() else {path}
    return sum(_lines(path.read_text()) for path in found if str(path.relative_to(ROOT)) not in SHARED)


def _lines(text: str) -> int:
    kept: set[int] = set()
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            begins = True
        elif token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            if not (begins and token.type == tokenize.STRING):
                kept.update(range(token.start[0], token.end[0] + 1))
            begins = False
    return len(kept)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.composite", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=200)
    options = parser.parse_args()
    ports = {name.upper(): str(free_port()) for name in (*SAGA, "composite", "nats")}
    environ = {f"{name}_PORT": port for name, port in ports.items()}
    environ |= {f"{name}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
    environ["NATS_URL"] = f"nats://127.0.0.1:{ports['NATS']}"
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        broker = [str(NATS.path()), "-a", "127.0.0.1", "-p", ports["NATS"], "-js", "-sd", str(folders[0])]
        parts = {name: [sys.executable, "-m", f"services.{name}"] for name in SAGA}
        saga = stack.enter_context(running({**parts, "nats": broker}, environ, folders[0]))
        one = {"composite": [sys.executable, "-m", "examples.composite"]}
        composite = stack.enter_context(running(one, environ, folders[1]))
        for number in range(options.rounds):
            for form in (saga, composite) if number % 2 else (composite, saga):
                measure(form, options.orders)
    report(composite, saga)


def report(composite: Form, saga: Form) -> None:
    """Print the table of the page."""
    print("| figure, median of rounds | composite | saga | ratio, lowest to highest |\n|---|---|---|---|")
    for name, whole in composite.figures.items():
        parts = saga.figures[name]
        ratios = sorted(two / one for one, two in zip(whole, parts, strict=True))
        spread = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        print(f"| {name} | {statistics.median(whole):.1f} | {statistics.median(parts):.1f} | {spread} |")
    small, large = lines(LINES["composite"]), lines(LINES["saga"])
    print(f"| lines of code | {small} | {large} | {large / small:.1f} |")


if __name__ == "__main__":
    main()
