"""Alternating rounds of both loads over all subjects, and what was seen of each."""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass, field

from benchmarks.overhead.subject import Subject
from benchmarks.servers.load import Load, fixed_rate, saturate

ROUTE = "/minus?x=5&y=3"
MIN_RATE = 50


@dataclass
class Figures:
    """What was measured of one subject: a value for each round."""

    cpu: list[float] = field(default_factory=list)
    throughput: list[float] = field(default_factory=list)
    cpu_fixed: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: float = 0.0
    errors: int = 0
    spans: int = 0
    lines: int = 0


def measure(subjects: list[Subject], options: argparse.Namespace) -> tuple[dict[str, Figures], int]:
    """Figures by the variant's name, and the fixed rate: half of what the bare application takes.

    The first round warms up and finds the rate; it is not counted.
    """
    warm = {subject.variant.name: _saturate(subject, Figures(), options) for subject in subjects}
    bare = warm.get("bare") or next(iter(warm.values()))
    rate = max(MIN_RATE, int(bare.requests / bare.seconds / 2) // options.connections * options.connections)
    seen = {subject.variant.name: Figures() for subject in subjects}
    for round_ in range(1, options.rounds + 1):
        # Forward and backward in turn, so that no subject always follows the same neighbour.
        for subject in subjects if round_ % 2 else subjects[::-1]:
            figures = seen[subject.variant.name]
            _saturate(subject, figures, options)
            _at_rate(subject, figures, options, rate)
            figures.memory = subject.memory()
        print(f"{subjects[0].name}: round {round_} of {options.rounds} done", file=sys.stderr)
    return seen, rate


def _saturate(subject: Subject, figures: Figures, options: argparse.Namespace) -> Load:
    before = subject.cpu()
    load = saturate(subject.url(ROUTE), seconds=options.seconds, connections=options.connections)
    subject.requests += load.requests
    figures.cpu.append(1e6 * (subject.cpu() - before) / load.requests)
    figures.throughput.append(load.requests / load.seconds)
    figures.errors += load.errors
    return load


def _at_rate(subject: Subject, figures: Figures, options: argparse.Namespace, rate: int) -> None:
    before = subject.cpu()
    load = fixed_rate(subject.url(ROUTE), seconds=options.seconds, connections=options.connections, rate=rate)
    subject.requests += load.requests
    figures.cpu_fixed.append(1e6 * (subject.cpu() - before) / load.requests)
    figures.p50.append(load.p50)
    figures.p99.append(load.p99)
    figures.errors += load.errors


def ratio(values: list[float], base: list[float]) -> float:
    """The median over the rounds of each round's ratio: what burdens a round burdens both."""
    return statistics.median(value / other for value, other in zip(values, base, strict=True))
