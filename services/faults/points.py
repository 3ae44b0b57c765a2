"""Faults that can be switched on while a service runs, to see what they look like in its telemetry.

A service says `faults.install(app, "car")` once, which gives it two points: `car.arrival`, before anything
else has seen a request, and `car.request`, inside its span. Further points of its own are one line each:
`faults.at("car.write", maker="bentz")`. Flags of OpenFeature, read from a file in flagd's format, say what
happens there: the metadata `point` of a flag names its point, and the variant that holds is an object of
effects (:data:`EFFECTS`), in this order:

    log: 50         write that many warnings
    memory: 1e6     keep that many bytes until the flag is off
    cpu: 0.3        burn that many seconds of processor time
    delay: 0.4      wait that many seconds
    exit: 1         end the process at once with this status
    error: "text"   raise RuntimeError
    status: 503     answer the request with this status instead

`drop: ["traceparent"]` at an arrival takes these headers away, as a careless proxy does. Every other effect
is for the point's own code, which asks for it in what `at` answers.

Off is the default everywhere: without a file named by DASHCAM_FAULTS_FILE, :func:`install` answers an
object that does nothing, leaves the application alone, and OpenFeature is not even imported. With a file
whose flags are all off, a point costs a look at the clock.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flask import Flask, request

from observability.problems import Problem
from observability.settings import from_environ, setting

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from openfeature.client import OpenFeatureClient
    from openfeature.contrib.tools.flagd.core.model import Flag

    from services.faults.flagd import FlagFile

logger = logging.getLogger(__name__)

OFF = "off"
"""The variant that does nothing. A flag whose default it is, without targeting, is not evaluated at all."""

Effects = Mapping[str, Any]
_NONE: Effects = {}


@dataclass(frozen=True)
class FaultSettings:
    """Whether faults may be switched on in this process."""

    file: str | None = setting(
        "DASHCAM_FAULTS_FILE",
        None,
        help="A file of flags in flagd's format that may switch faults on; unset, no fault can happen. "
        "`make up` names one in its state folder.",
    )


class Faults(Protocol):
    """What a service's points speak to."""

    def at(self, point: str, /, **attributes: Any) -> Effects:
        """Do what the flags of this point ask for; `attributes` are what their targeting can look at.

        Answers the effects, so that a point can have some of its own; empty when all is off.
        """


class NoFaults:
    """Nothing ever happens."""

    def at(self, point: str, /, **attributes: Any) -> Effects:
        return _NONE


def connect(settings: FaultSettings | None = None) -> Faults:
    """The faults that the settings (of the environment by default) allow: none unless they name a file."""
    settings = settings or from_environ(FaultSettings)
    if settings.file is None:
        return NoFaults()
    from openfeature import api

    from services.faults.flagd import FlagFile

    path = Path(settings.file).absolute()
    provider, domain = FlagFile(path), f"dashcam-faults:{path}"
    api.set_provider_and_wait(provider, domain)
    return FlaggedFaults(provider, api.get_client(domain))


def install(app: Flask, service: str, settings: FaultSettings | None = None) -> Faults:
    """Give `app` its two points; answers the faults for further ones. Call it after `instrument()`."""
    faults = connect(settings)
    if isinstance(faults, NoFaults):
        return faults
    inner = app.wsgi_app

    def arrive(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        for name in faults.at(f"{service}.arrival").get("drop", ()):
            environ.pop("HTTP_" + str(name).upper().replace("-", "_"), None)
        return inner(environ, start_response)

    def before_request() -> None:
        given = {**request.args.to_dict(), **(request.view_args or {})}
        faults.at(f"{service}.request", **{**given, "route": request.endpoint, "method": request.method})

    app.wsgi_app = arrive  # type: ignore[method-assign]
    app.before_request(before_request)
    return faults


class FlaggedFaults:
    """What the flags of `provider` say, asked through OpenFeature's `client` of it."""

    def __init__(self, provider: FlagFile, client: OpenFeatureClient) -> None:
        self._provider = provider
        self._client = client
        self._known: Mapping[str, Flag] | None = None
        self._live: dict[str, list[str]] = {}
        self._kept: list[bytearray] = []

    @property
    def kept(self) -> int:
        """Bytes that the effect `memory` holds."""
        return sum(len(one) for one in self._kept)

    def at(self, point: str, /, **attributes: Any) -> Effects:
        flags = self._provider.flags()
        if flags is not self._known:
            self._index(flags)
        keys = self._live.get(point)
        return self._evaluate(keys, attributes) if keys else _NONE

    def _index(self, flags: Mapping[str, Flag]) -> None:
        live: dict[str, list[str]] = {}
        for flag in flags.values():
            variant, _ = flag.default
            if flag.state == "ENABLED" and (flag.targeting or variant not in (OFF, None)):
                live.setdefault(str((flag.metadata or {}).get("point")), []).append(flag.key)
        self._kept.clear()
        self._known, self._live = flags, live

    def _evaluate(self, keys: list[str], attributes: Mapping[str, Any]) -> Effects:
        from openfeature.evaluation_context import EvaluationContext

        context = EvaluationContext(attributes=dict(attributes))
        merged: dict[str, Any] = {}
        for key in keys:
            value = self._client.get_object_value(key, {}, context)
            if isinstance(value, Mapping):
                merged.update(value)
        for name, effect in EFFECTS.items():
            if name in merged:
                effect(self._kept, merged[name])
        return merged


def _log(kept: list[bytearray], lines: Any) -> None:
    for number in range(int(lines)):
        logger.warning("still waiting for the lock of segment %d, retrying", number)


def _memory(kept: list[bytearray], size: Any) -> None:
    # Filled, so that the pages are really there.
    kept.append(bytearray(os.urandom(1024)) * (int(size) // 1024))


def _cpu(kept: list[bytearray], seconds: Any) -> None:
    end = time.thread_time() + float(seconds)
    while time.thread_time() < end:
        sum(range(1000))


def _delay(kept: list[bytearray], seconds: Any) -> None:
    time.sleep(float(seconds))


def _exit(kept: list[bytearray], status: Any) -> None:
    os._exit(int(status))


def _error(kept: list[bytearray], text: Any) -> None:
    raise RuntimeError(str(text))


def _status(kept: list[bytearray], status: Any) -> None:
    raise Problem(int(status), "Not now", "The service is not able to answer this request now.")


EFFECTS: dict[str, Callable[[list[bytearray], Any], None]] = {
    "log": _log,
    "memory": _memory,
    "cpu": _cpu,
    "delay": _delay,
    "exit": _exit,
    "error": _error,
    "status": _status,
}
"""The effects that any point can have, in the order in which they happen."""
