"""HTTP metrics by the conventions before they were stable, in the stable names, units and attributes.

Dashboards, alerts and the diagnosis read the stable ones only; what an older SDK sends belongs there too.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from dashcam.store.metric_points import Point
from dashcam.store.metric_series import SUM

_NAMES = {
    "http.server.duration": "http.server.request.duration",
    "http.client.duration": "http.client.request.duration",
}
_HTTP = {
    "http.method": "http.request.method",
    "http.status_code": "http.response.status_code",
    "http.scheme": "url.scheme",
    "http.flavor": "network.protocol.version",
    "net.protocol.version": "network.protocol.version",
    "net.host.name": "server.address",
    "net.host.port": "server.port",
    "net.peer.name": "server.address",
    "net.peer.port": "server.port",
}


@dataclass(frozen=True)
class Change:
    """What becomes of a metric: its name, its unit and what its values are multiplied by."""

    name: str
    unit: str
    factor: float

    def scaled(self, point: Point) -> Point:
        """The point in the new unit."""
        bounds = tuple(round(bound * self.factor, 12) for bound in point.bounds)
        changed: dict[Hashable, float] = {SUM: point.values[SUM] * self.factor} if SUM in point.values else {}
        return Point({**point.values, **changed}, bounds)


def change_of(name: str, unit: str) -> Change | None:
    """What becomes of a metric of this name, or None for one that stays as it is."""
    if name not in _NAMES or unit not in ("ms", "", "s"):
        return None
    return Change(_NAMES[name], "s", 1.0 if unit == "s" else 1e-3)


def attributes(metric: str, given: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The attributes of a point of `metric`; a stable one that is there wins over an old one."""
    if not metric.startswith("http."):
        return list(given)
    present = {key for key, _ in given}
    found: dict[str, str] = {}
    for key, value in given:
        new = _HTTP.get(key, key)
        if new == key or (new not in present and new not in found):
            found[new] = value
    return list(found.items())
