"""What Fluent Bit makes of container logs: a model of what our configuration names, for tests only.

No package registry has Fluent Bit itself. This reads the very files of k8s/base/fluent-bit and does what 5.1
does with each of their properties, between a log file of the container runtime and a bulk request. A plug-in
or a property that it does not know fails, so that the files cannot outgrow it. It keeps no state. Whoever has
Fluent Bit holds the model to it by `make test-fluent-bit`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

CONFIGURATION = Path(__file__).parents[2] / "k8s" / "base" / "fluent-bit"

Record = dict[str, Any]

Filter = Callable[[dict[str, Any], str, Record], Record | None]

_CRI = re.compile(r"^(?P<time>.+?) (?P<stream>stdout|stderr) (?P<_p>[FP]) (?P<log>.*)$", re.DOTALL)
"""The built-in parser `cri`; its key `time` becomes the record's time, and stays."""

_DELIVERY = """
    alias match host port tls tls.verify tls.verify_hostname tls.ca_file http_user http_passwd compress
    buffer_size trace_error workers retry_limit net.io_timeout storage.total_limit_size
"""
"""Properties of an output that do not touch what is written."""


@dataclass(frozen=True)
class Document:
    """One action of a bulk request of the `es` output."""

    stream: str
    action: str
    source: Record

    def lines(self) -> bytes:
        """As they stand in a bulk request to its stream."""
        return orjson.dumps({self.action: {}}) + b"\n" + orjson.dumps(self.source) + b"\n"


def bulk(documents: Iterable[Document]) -> bytes:
    """The body of a bulk request."""
    return b"".join(document.lines() for document in documents)


class FluentBit:
    """The pipeline of the two files."""

    def __init__(self, folder: Path = CONFIGURATION) -> None:
        page = _read(folder / "fluent-bit.yaml")
        self._inputs = page["pipeline"]["inputs"]
        self._filters = page["pipeline"]["filters"]
        # Onigmo's names of groups, as Python writes them.
        self._parsers = {each["name"]: each["regex"].replace("(?<", "(?P<") for each in page["parsers"]}
        self._outputs = _read(folder / "outputs.yaml")["pipeline"]["outputs"]

    @property
    def address(self) -> str:
        """Path and query of its bulk requests."""
        (pipeline,) = {each["pipeline"] for each in self._outputs}
        return f"/_bulk?pipeline={pipeline}"

    def documents(self, path: str, rows: Iterable[str]) -> list[Document]:
        """What the rows of the log file at `path` become, in their order."""
        made = []
        for source in self._inputs:
            if not _reads(source, path):
                continue
            tag = source["tag"].replace("*", path.lstrip("/").replace("/", "."))
            for time, record in _containers(source, rows):
                made += self._through(tag, time, record)
        return made

    def _through(self, tag: str, time: str, record: Record) -> Iterator[Document]:
        for each in self._filters:
            if not fnmatch.fnmatchcase(tag, each["match"]):
                continue
            if each["name"] == "kubernetes":
                each = {**each, "regex": self._parsers[each["regex_parser"]]}
            filtered = _FILTERS[each["name"]](each, tag, record)
            if filtered is None:
                return
            record = filtered
        for output in self._outputs:
            if fnmatch.fnmatchcase(tag, output["match"]):
                yield _es(output, time, record)


def _read(path: Path) -> dict[str, Any]:
    """A file. Fluent Bit takes every value for text: `on` is no truth value."""
    page: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    return page


def _reads(source: dict[str, Any], path: str) -> bool:
    left_out = source.get("exclude_path", "").split(",")
    return fnmatch.fnmatchcase(path, source["path"]) and not any(
        fnmatch.fnmatchcase(path, each) for each in left_out if each
    )


def _containers(source: dict[str, Any], rows: Iterable[str]) -> Iterator[tuple[str, Record]]:
    """Records with their times: the parts of a torn line (P … F) are one, those of each stream apart."""
    assert "cri" in source["multiline.parser"], source
    begun: dict[str, tuple[str, Record]] = {}
    for row in rows:
        matched = _CRI.match(row)
        if not matched:
            if row or source["skip_empty_lines"] != "on":
                yield "", {"log": row}
            continue
        record = matched.groupdict()
        time, stream = record["time"], record["stream"]
        first, whole = begun.pop(stream, (time, {**record, "log": ""}))
        whole["log"] += record["log"]
        whole["_p"] = record["_p"]
        if record["_p"] == "P":
            begun[stream] = (first, whole)
        else:
            # A tear may be within a character.
            whole["log"] = whole["log"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            yield first, whole


def _kubernetes(settings: dict[str, Any], tag: str, record: Record) -> Record:
    """The pod's metadata; with `merge_log`, the keys of a JSON object in `log` beside it."""
    file = re.match(settings["regex"], tag.removeprefix(settings["kube_tag_prefix"]))
    assert file, f"{tag} is not named as a container's log"
    pod = file.groupdict()
    merged = _object(record["log"]) if settings["merge_log"] == "on" else None
    if merged is not None and settings["keep_log"] == "off":
        record = {key: value for key, value in record.items() if key != "log"}
    kubernetes = {
        **{key: pod[key] for key in ("pod_name", "namespace_name", "container_name")},
        "pod_id": "0f7c5a4e-0d55-4d5c-9c39-1d3a3f5f0a11",
        "pod_ip": "10.0.0.7",
        "host": "node-1",
        "docker_id": "0a" * 32,
        "container_hash": f"docker.io/dashcam/car@sha256:{'c' * 64}",
        "container_image": f"dashcam/{pod['pod_name'].partition('-')[0]}:0.1.0",
        "labels": {
            "app.kubernetes.io/name": pod["pod_name"].partition("-")[0],
            "app.kubernetes.io/part-of": "dashcam",
            "app": "both a field and the parent of another, were it no flattened one",
        },
    }
    assert (settings["labels"], settings["annotations"]) == ("on", "off"), settings
    return {**record, **(merged or {}), "kubernetes": kubernetes}


def _object(text: str) -> Record | None:
    try:
        found = orjson.loads(text.strip())
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _modify(settings: dict[str, Any], tag: str, record: Record) -> Record:
    unknown = settings.keys() - {"name", "alias", "match", "condition", "rename", "remove_regex"}
    assert not unknown, f"the model does not know {unknown}"
    condition, _, key = settings.get("condition", "").partition(" ")
    assert condition in ("", "key_does_not_exist"), settings
    if condition and key in record:
        return record
    renamed, _, name = settings.get("rename", "").partition(" ")
    removed = re.compile(settings.get("remove_regex", "(?!)"))
    return {
        (name if key == renamed else key): value for key, value in record.items() if not removed.search(key)
    }


def _grep(settings: dict[str, Any], tag: str, record: Record) -> Record | None:
    assert settings.keys() == {"name", "alias", "match", "exclude"}, settings
    key, _, pattern = settings["exclude"].partition(" ")
    text = record.get(key)
    return None if isinstance(text, str) and re.search(pattern, text) else record


_FILTERS: dict[str, Filter] = {"kubernetes": _kubernetes, "modify": _modify, "grep": _grep}


def _es(settings: dict[str, Any], time: str, record: Record) -> Document:
    written = settings.keys() - set(_DELIVERY.split()) - {"name"}
    known = {
        "index",
        "write_operation",
        "pipeline",
        "generate_id",
        "suppress_type_name",
        "replace_dots",
        "time_key",
        "time_key_nanos",
    }
    assert written == known, f"the model does not know {written ^ known}"
    assert (settings["replace_dots"], settings["time_key_nanos"], settings["generate_id"]) == (
        "off",
        "on",
        "off",
    )
    source = {settings["time_key"]: _nanoseconds(time), **record}
    return Document(settings["index"], settings["write_operation"], source)


def _nanoseconds(time: str) -> str:
    """RFC 3339 as the runtime writes it, in UTC with nine digits. The part of a second has been a double."""
    head, _, tail = time.partition(".")
    digits = re.match(r"\d*", tail)
    assert digits is not None
    assert tail.removeprefix(digits[0]) in ("Z", "+00:00"), time
    return f"{head}.{int(float(f'0.{digits[0]}') * 1_000_000_000):09d}Z"


def torn(line: str, time: str, stream: str = "stdout", at: int = 16_384) -> list[str]:
    """A line as a container runtime writes it: rows of the CRI format, torn after `at` bytes."""
    data = line.encode()
    parts = [data[n : n + at] for n in range(0, len(data), at)] or [b""]
    flags = ["P"] * (len(parts) - 1) + ["F"]
    return [
        f"{time} {stream} {flag} {part.decode('utf-8', 'surrogateescape')}"
        for flag, part in zip(flags, parts, strict=True)
    ]
