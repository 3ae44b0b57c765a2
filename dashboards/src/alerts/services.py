"""Alerts about the services themselves. They name the cause where the objectives see the symptom."""

from __future__ import annotations

from dashboards.src.counters import grown
from dashboards.src.rules import Alert, Group
from dashboards.src.slos import Objectives
from observability import schema

_REQUESTS = schema.HTTP_SERVER_DURATION.sample
_LOGS = schema.LOG_RECORDS.sample
_BAD_LINES = f'{_LOGS}{{severity=~"ERROR|FATAL"}}'


def groups(objectives: Objectives) -> list[Group]:
    """One group: the services of `objectives` down, cut off, overloaded, noisy or restarting."""
    down = [_down(service) for service in objectives.depends_on]
    rules = [*down, *_reachability(objectives), *_dependencies(), *_load(), *_noise(), _recovering()]
    return [Group("services", rules, "15s")]


def _down(service: str) -> Alert:
    return Alert(
        name="ServiceDown",
        severity="page",
        # absent() of what is up, so that "all are down" and "none is known any more" are one case.
        expr=f'absent(up{{job="{service}"}} == 1)',
        hold="30s",
        service=service,
        summary=f"No instance of {service} can be reached.",
        description=f"Prometheus finds no instance of {service} that answers on its admin port.",
    )


def _reachability(objectives: Objectives) -> list[Alert]:
    # Jaeger, and others that are built with OpenTelemetry, count requests under the same name.
    ours = f'{_REQUESTS}{{job=~"{"|".join(objectives.depends_on)}"}}'
    before = f"sum by (job) (increase({ours}[1h] offset 10m))"
    now = f"sum by (job) ({grown(ours, '10m')})"
    return [
        Alert(
            name="TargetDown",
            severity="ticket",
            expr="up == 0",
            hold="5m",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} on {{ $labels.instance }} has not answered for five minutes.",
            description="Prometheus cannot scrape this instance; its own error is on the page of targets.",
        ),
        Alert(
            name="TrafficStopped",
            severity="ticket",
            expr=f"(\n  {before} > 30\n)\nunless\n(\n  {now} > 0\n)",
            hold="1m",
            service="{{ $labels.job }}",
            summary=(
                "{{ $labels.job }} had {{ $value | humanize }} requests in the hour before, and none for "
                "ten minutes."
            ),
            description="The service is silent: either nobody asks any more, or nothing reaches it.",
        ),
    ]


def _dependencies() -> list[Alert]:
    return [
        Alert(
            name="CircuitOpen",
            severity="page",
            # The gauge falls to 0 at every trial call, so the last minute counts.
            expr=f"max by (job, dependency) (max_over_time({schema.CIRCUIT_OPEN.sample}[1m])) == 1",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} has stopped calling {{ $labels.dependency }}, which kept failing.",
            description=(
                "The circuit breaker refuses the calls; whatever needs that dependency is answered with 503."
            ),
        ),
        Alert(
            name="DependencyDown",
            severity="page",
            expr=f"min by (job, dependency) ({schema.DEPENDENCY_UP.sample}) == 0",
            hold="30s",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} cannot work: its {{ $labels.dependency }} is away.",
            description="At least one instance fails its readiness check of this dependency.",
        ),
    ]


def _load() -> list[Alert]:
    active = f"sum by (job, instance) ({schema.HTTP_SERVER_ACTIVE.sample})"
    threads = f"sum by (job, instance) ({schema.SERVER_THREADS.sample})"
    return [
        Alert(
            name="ServerSaturated",
            severity="ticket",
            expr=f"{active}\n/ {threads} > 0.8",
            hold="5m",
            service="{{ $labels.job }}",
            summary=(
                "{{ $labels.job }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} of its "
                "threads busy."
            ),
            description=(
                "Further requests wait before anything measures them; latency seen by callers is higher "
                "than recorded."
            ),
        ),
        Alert(
            name="ServiceRestarting",
            severity="ticket",
            expr="max by (job, instance) (changes(process_start_time_seconds[15m])) >= 3",
            service="{{ $labels.job }}",
            summary=(
                "{{ $labels.job }} on {{ $labels.instance }} started {{ $value }} times in fifteen minutes."
            ),
            description="The process dies and is restarted by its supervisor again and again.",
        ),
    ]


def _noise() -> list[Alert]:
    now = f"sum by (job) ({grown(_BAD_LINES, '10m')})"
    before = f"sum by (job) (increase({_BAD_LINES}[1h] offset 10m))"
    return [
        Alert(
            name="LogErrorsRising",
            severity="ticket",
            # Three times the mean ten minutes of the hour before; with no line then, any number is more.
            expr=f"{now} >= 20\nunless\n{before} / 2 >= {now}",
            service="{{ $labels.job }}",
            summary=(
                '{{ $labels.job }} wrote {{ $value | printf "%.0f" }} error lines in ten minutes, over three '
                "times as many as before."
            ),
            description=(
                "Error lines that no failing request accounts for are often the first sign of a fault to "
                "come."
            ),
        ),
    ]


def _recovering() -> Alert:
    """What a cause leaves behind: the half hour for which burn rates still see what it did."""
    causes = "ServiceDown|DependencyDown|CircuitOpen|AvailabilityBurnFast"
    fired = f'ALERTS{{alertname=~"{causes}",alertstate="firing"}}'
    return Alert(
        name="RecentlyBroken",
        severity="none",
        expr=f"max by (service, dependency) (max_over_time({fired}[35m]))",
        service="{{ $labels.service }}",
        summary="{{ $labels.service }} is or was broken within the last 35 minutes.",
        description="Nobody is told of this. It keeps what others suffered from it quiet while that fades.",
    )
