"""Causes that the series of processes show, on series made by hand."""

from __future__ import annotations

import dataclasses

from dashcam.diagnose import processes, telemetry_gaps, verdict
from dashcam.diagnose.observe import Observed
from dashcam.diagnose.ongoing import of_now
from dashcam.sources import Series

WINDOW = (400.0, 500.0)


def seen(**series: list[Series]) -> Observed:
    return Observed(*WINDOW, series=series, interval=5.0)


def computing(busy: range) -> Series:
    """A process that computes more in the stretch `busy`, from long before the window on."""
    labels = {"job": "shop", "instance": "10.0.0.1:80"}
    return Series(labels, tuple((float(t), 0.6 if t in busy else 0.05) for t in range(100, 500, 5)))


def away(job: str, instance: str) -> Series:
    labels = {"job": job, "instance": instance}
    return Series(labels, tuple((float(t), 1.0 if t < 450 else 0.0) for t in range(400, 500, 5)))


def test_a_process_that_computes_more_in_the_window_is_a_cause() -> None:
    (cause,) = processes.burning(seen(cpu=[computing(range(430, 500))]))
    assert (cause.kind, cause.service) == ("processor", "shop")


def test_what_was_over_before_the_window_began_is_none() -> None:
    early = seen(cpu=[computing(range(250, 380))])
    assert not any(of_now(early, cause) for cause in processes.burning(early))
    assert verdict.judge(dataclasses.replace(early, traced=["shop"])).causes == ()
    late = seen(cpu=[computing(range(430, 500))])
    assert verdict.judge(dataclasses.replace(late, traced=["shop"])).causes != ()


def test_a_process_with_two_pages_to_scrape_is_one_part_and_called_like_its_own_metrics() -> None:
    own = Series({"job": "receiver"}, ((400.0, 0.1),))
    both = [away("receiver", "127.0.0.1:4318"), away("otlp", "127.0.0.1:4318")]
    for order in (both, both[::-1]):
        gaps = telemetry_gaps.gaps(seen(up=order, cpu=[own]))
        assert [one.service for one in gaps if one.kind == "part away"] == ["receiver"]
