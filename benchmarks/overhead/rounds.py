"""Alternating rounds of both loads over all subjects, and what was seen of each."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field

from benchmarks.overhead.subject import Subject
from benchmarks.servers.application import ROUTE
from benchmarks.servers.load import Load, fixed_rate, saturate

MIN_RATE = 50
RATED = 5
"""How often the bare application is saturated to find the fixed rate: one time may be a neighbour's."""


@dataclass
class Figures:
    """What was measured of one subject: a value for each round."""

    cpu: list[float] = field(default_factory=list)
    throughput: list[float] = field(default_factory=list)
    cpu_fixed: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    spans_lost: list[int] = field(default_factory=list)
    errors: int = 0
    requests: int = 0
    spans: int = 0
    lines: int = 0


@dataclass
class Measured:
    """All that was measured on one server: by the variant's name, and the fixed rate of each start."""

    figures: dict[str, Figures]
    rates: list[int] = field(default_factory=list)


def measure(subjects: list[Subject], seen: Measured, options: argparse.Namespace) -> None:
    """Add `options.rounds` rounds of the subjects, which have just started.

    The fixed rate is half of what the bare application takes now. The rounds before, which warm up and find
    it, are not counted.
    """
    for subject in subjects:
        _saturate(subject, Figures(), options)
    bare = next((subject for subject in subjects if subject.variant.name == "bare"), subjects[0])
    loads = [_saturate(bare, Figures(), options) for _ in range(RATED)]
    half = statistics.median(load.requests / load.seconds for load in loads) / 2
    seen.rates.append(max(MIN_RATE, int(half) // options.connections * options.connections))
    for round_ in range(options.rounds):
        # Forward and backward in turn, so that no subject always follows the same neighbour.
        for subject in subjects[::-1] if round_ % 2 else subjects:
            figures = seen.figures[subject.variant.name]
            _saturate(subject, figures, options)
            _at_rate(subject, figures, options, seen.rates[-1])
            figures.memory.append(subject.memory())


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
