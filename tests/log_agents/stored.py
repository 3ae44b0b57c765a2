"""What Elasticsearch has of the lines that were written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from search_server.server import Elasticsearch

SERVICES = "logs-dashcam-services"
CLUSTER = "logs-dashcam-cluster"


def documents(node: Elasticsearch, stream: str, case: str) -> Iterator[Mapping[str, Any]]:
    """Every document of a case, which is a word in its message."""
    status, _ = node.ask("POST", f"/{stream}/_refresh")
    if status == 404:  # nothing has arrived yet
        return
    query = {"size": 5000, "query": {"match": {"message": case}}, "sort": ["_doc"]}
    page = node.expect("POST", f"/{stream}/_search?scroll=1m", query)
    while hits := page["hits"]["hits"]:
        yield from (hit["_source"] for hit in hits)
        page = node.expect("POST", "/_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})
    node.ask("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})


def arrived(node: Elasticsearch, stream: str, case: str) -> Counter[int]:
    """How often each numbered line of a case is stored."""
    return Counter(int(each["message"].split()[1]) for each in documents(node, stream, case))


def verdict(counted: Counter[int], written: int) -> str:
    """`written` lines, each once: or how many are missing and how many are there twice or more."""
    lost = written - len(counted.keys() & set(range(written)))
    doubled = sum(1 for times in counted.values() if times > 1)
    return f"{lost} of {written} lines lost, {doubled} doubled"
