"""Alerts about the services themselves. They name the cause where the objectives see the symptom."""

from __future__ import annotations

from dashboards.src.addresses import opening
from dashboards.src.alerts.messages import BROKER
from dashboards.src.counters import grown
from dashcam.slo.durations import milliseconds
from dashcam.slo.objectives import Objectives
from dashcam.slo.rules import Alert, Group, Recording
from observability import schema

_REQUESTS = schema.HTTP_SERVER_DURATION.sample
_LOGS = schema.LOG_RECORDS.sample
DEPLOYED = "deploy:started:timestamp_seconds"
_BAD_LINES = f'{_LOGS}{{severity=~"ERROR|FATAL"}}'


def groups(objectives: Objectives) -> list[Group]:
    """One group: the services of `objectives` down, cut off, overloaded, noisy or restarting."""
    down = [_down(service) for service in objectives.depends_on]
    rules = [
        *down,
        *_reachability(objectives),
        *_dependencies(),
        *_load(),
        *_noise(),
        _recovering(objectives),
    ]
    recorded = [_wanted(objectives), _deploys()]
    return [Group("services", [*recorded, *opening("service", rules, of="service")], "15s")]


def _wanted(objectives: Objectives) -> Recording:
    """How many instances there should be: what the Deployment says, or else all that are known."""
    names = "|".join(objectives.depends_on)
    replicas = f'kube_deployment_spec_replicas{{deployment=~"{names}"}}'
    return Recording(
        "service:instances_wanted:count",
        f'max by (job) (label_replace({replicas}, "job", "$1", "deployment", "(.*)"))\n'
        f'or\ncount by (job) (up{{job=~"{names}"}})',
    )


def _deploys() -> Recording:
    """When each version that runs was first seen.

    It keeps its time as long as it is away for no more than five minutes, so that a restart is no deploy; a
    version that comes back later is one.
    """
    by = "(job, version, revision)"
    running = f"group by {by} ({schema.BUILD.sample})"
    return Recording(
        DEPLOYED,
        f"(\n    max by {by} (last_over_time({DEPLOYED}[5m]))\n  and\n    {running}\n)\n"
        f"or\n{running} * time()",
    )


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
            # Requests that come by chance leave gaps. Where twenty are expected, none at all comes by
            # chance once in 500 million times; whoever is asked less is watched for longer.
            expr=f"{_silent(ours, '10m', '1h', '> 120')}\nor\n{_silent(ours, '1h', '6h', '> 120')}",
            hold="1m",
            service="{{ $labels.job }}",
            summary=(
                "{{ $labels.job }} had {{ $value | humanize }} requests in the hours before, and then none."
            ),
            description=(
                "None for ten minutes after a busy hour, or none for an hour after six: either nobody asks "
                "any more, or nothing reaches it."
            ),
        ),
    ]


def _silent(requests: str, silence: str, before: str, busy: str) -> str:
    """PromQL: how many requests each job had in the time `before` its `silence`, where that is `busy`."""
    earlier = f"sum by (job) (increase({requests}[{before}] offset {silence}))"
    now = f"sum by (job) ({grown(requests, silence)})"
    return f"(\n  {earlier} {busy}\n)\nunless\n(\n  {now} > 0\n)"


def _dependencies() -> list[Alert]:
    # No service is unready for want of the broker: that is BrokerAway's.
    up = f'{schema.DEPENDENCY_UP.sample}{{dependency!="{BROKER}"}}'
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
            expr=f"max by (job, dependency) ({up}) == 0",
            hold="30s",
            service="{{ $labels.job }}",
            summary="{{ $labels.job }} cannot work: its {{ $labels.dependency }} is away.",
            description="Every instance fails its readiness check of this dependency.",
        ),
        Alert(
            name="DependencyPartlyDown",
            severity="ticket",
            expr=(
                f"min by (job, dependency) ({schema.DEPENDENCY_UP.sample}) == 0\n"
                f"unless\nmax by (job, dependency) ({schema.DEPENDENCY_UP.sample}) == 0"
            ),
            hold="5m",
            service="{{ $labels.job }}",
            summary="Some instances of {{ $labels.job }} cannot reach its {{ $labels.dependency }}.",
            description="The others answer for them; the service has less room than it should.",
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


def _recovering(objectives: Objectives) -> Alert:
    """What a cause leaves behind.

    That is the half hour for which burn rates still see what it did, and for how long their alerts go on.
    """
    causes = "ServiceDown|DependencyDown|CircuitOpen|BrokerAway|BrokerFull|AvailabilityBurnFast"
    fired = f'ALERTS{{alertname=~"{causes}",alertstate="firing"}}'
    remembered = max(milliseconds(rate.short) for rate in objectives.burn_rates["page"])
    minutes = (remembered + milliseconds(objectives.keep_firing["page"])) // 60_000 + 5
    return Alert(
        name="RecentlyBroken",
        severity="none",
        expr=f"max by (service, dependency) (max_over_time({fired}[{minutes}m]))",
        service="{{ $labels.service }}",
        summary=f"{{{{ $labels.service }}}} is or was broken within the last {minutes} minutes.",
        description="Nobody is told of this. It keeps what others suffered from it quiet while that fades.",
    )
