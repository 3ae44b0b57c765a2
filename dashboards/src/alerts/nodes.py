"""Alerts about nodes, their disks, volumes and certificates."""

from __future__ import annotations

from dashcam.slo.rules import Alert

_DISK = 'node_filesystem_{}{{fstype!~"tmpfs|overlay|squashfs|ramfs"}}'
_CERTIFICATE = "(probe_ssl_earliest_cert_expiry or certmanager_certificate_expiration_timestamp_seconds)"


def alerts(namespace: str) -> list[Alert]:
    """The alerts; `namespace` is the matcher of those whose volumes are ours."""
    return [_not_ready(), *_space(namespace), _inodes(namespace), _certificates()]


def _not_ready() -> Alert:
    return Alert(
        name="NodeNotReady",
        severity="ticket",
        expr='max by (node) (kube_node_status_condition{condition="Ready",status="true"}) == 0',
        hold="10m",
        service="node",
        summary="Node {{ $labels.node }} has not been ready for ten minutes.",
        description="Its pods are made anew elsewhere if there is room; those with a volume on it wait.",
    )


def _space(namespace: str) -> list[Alert]:
    return [
        Alert(
            name="DiskFilling",
            severity="ticket",
            expr=_filling(_DISK.format("avail_bytes"), _DISK.format("size_bytes")),
            hold="10m",
            service="node",
            summary=(
                "{{ $labels.mountpoint }} on {{ $labels.instance }} has {{ $value | humanizePercentage }} "
                "left and is filling up."
            ),
            description="Less than a tenth is free, or less than a third and full within a day at this rate.",
        ),
        Alert(
            name="VolumeFilling",
            severity="ticket",
            expr=_filling(
                f"kubelet_volume_stats_available_bytes{{{namespace}}}",
                f"kubelet_volume_stats_capacity_bytes{{{namespace}}}",
            ),
            hold="10m",
            service="{{ $labels.persistentvolumeclaim }}",
            summary=(
                "Volume {{ $labels.persistentvolumeclaim }} has {{ $value | humanizePercentage }} left and "
                "is filling up."
            ),
            description="Less than a tenth is free, or less than a third and full within a day at this rate.",
        ),
    ]


def _inodes(namespace: str) -> Alert:
    volume = "kubelet_volume_stats_{}{{{}}}"
    free, all_of_them = (volume.format(name, namespace) for name in ("inodes_free", "inodes"))
    return Alert(
        name="InodesFilling",
        severity="ticket",
        expr=(
            f"{_filling(_DISK.format('files_free'), _DISK.format('files'))}\n"
            f"or\n{_filling(free, all_of_them)}"
        ),
        hold="10m",
        service='{{ or $labels.persistentvolumeclaim "node" }}',
        summary=(
            "{{ or $labels.persistentvolumeclaim $labels.mountpoint }} of {{ $labels.instance }} has "
            "{{ $value | humanizePercentage }} of its inodes left and is filling up."
        ),
        description="With none left no file can be made, however much space there is.",
    )


def _certificates() -> Alert:
    return Alert(
        name="CertificateExpiring",
        severity="ticket",
        expr=f"{_CERTIFICATE} - time() < 14 * 86400",
        hold="1h",
        service="certificates",
        summary=(
            "A certificate expires in {{ $value | humanizeDuration }}: {{ $labels.instance }}{{ "
            "$labels.name }}."
        ),
        description="Renewal should have happened by itself by now.",
    )


def _filling(free: str, size: str) -> str:
    share = f"{free} / {size}"
    return (
        f"{share} < 0.1\nor\n(\n    {share} < 0.33\n  and\n    predict_linear({free}[6h], 24 * 3600) < 0\n)"
    )
