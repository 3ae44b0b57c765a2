"""A session of proof: many jobs on one stack or several, each stack working through them one by one.

A job is a scenario or the runs without a fault. Faults never overlap within a stack. Stacks share nothing
but the machine: each has ports, a folder and traffic of its own.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from dashcam.lab import healthy
from dashcam.lab.injection import Bench, Interrupted
from dashcam.lab.scenario import Scenario
from dashcam.lab.verify import Result, verify

MakeBench = Callable[[int], AbstractContextManager[Bench]]
HEALTHY = "healthy"


@dataclass(frozen=True)
class Job:
    """One scenario, or `runs` without a fault."""

    name: str
    scenario: Scenario | None = None
    runs: int = 0


def jobs(scenarios: Sequence[Scenario], runs: int) -> list[Job]:
    """The runs without a fault first, on a stack that nobody has broken yet.

    Then what takes longest, so that at the end no stack is left alone with it.
    """
    calm = [Job(HEALTHY, runs=runs)] if runs else []
    return [*calm, *(Job(one.name, one) for one in sorted(scenarios, key=lambda one: -one.settle))]


def run(todo: Sequence[Job], make: MakeBench, stacks: int, baseline: float) -> Iterator[Result]:
    """Results as they come. Raises what a job raised, when all stacks have ended.

    Where the caller stops asking, or is interrupted, every stack ends what it does and is taken down.
    """
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in todo:
        waiting.put(job)
    done: queue.SimpleQueue[Result | BaseException | None] = queue.SimpleQueue()
    over = threading.Event()
    workers = [
        threading.Thread(target=_work, args=(waiting, make, number, baseline, done, over))
        for number in range(1, min(stacks, len(todo)) + 1)
    ]
    for worker in workers:
        worker.start()
    try:
        yield from _answers(done, len(workers))
    finally:
        over.set()
        for worker in workers:
            worker.join()


def _answers(done: queue.SimpleQueue[Result | BaseException | None], working: int) -> Iterator[Result]:
    """Results until every worker has said that it ended. Raises the first error at once."""
    while working:
        answer = done.get()
        if answer is None:
            working -= 1
        elif isinstance(answer, BaseException):
            raise answer
        else:
            yield answer


def _work(
    waiting: queue.SimpleQueue[Job],
    make: MakeBench,
    number: int,
    baseline: float,
    done: queue.SimpleQueue[Result | BaseException | None],
    over: threading.Event,
) -> None:
    """One stack: jobs until none is left."""
    try:
        with make(number) as made:
            bench, clean = replace(made, over=over), None
            while True:
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    break
                if job.scenario is None:
                    for result in healthy.runs(bench, job.runs):
                        done.put(result)
                    clean = None
                    continue
                result = verify(bench, job.scenario, baseline, clean)
                clean = result.clean if result.recovered is not None else None
                done.put(result)
    except Interrupted:
        pass
    except BaseException as error:
        done.put(error)
    finally:
        done.put(None)
