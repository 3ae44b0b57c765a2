"""The services' real lines, as a container runtime keeps them, through Fluent Bit into Elasticsearch.

Fluent Bit is a model here (search_server/fluent_bit.py); the server, its template and its users are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from integration.search.conftest import BASE, STREAM, UID, deliver, ids, password, through_fluent_bit
from search_server.fluent_bit import FluentBit
from search_server.services import Written

from observability import schema

COMPONENT = "Elasticsearch"
TYPES = {
    "string": {"keyword", "text", "date_nanos"},
    "int": {"long"},
    "double": {"double"},
    "object": {"flattened"},
}
DECLARED = {field.name: TYPES[field.type] for field in schema.LOG_FIELDS}
TRANSPORT = {"@timestamp": {"date_nanos"}, "stream": {"keyword"}}
REFUSED = {"odd: a null in a name"}
"""Messages of lines that no index can hold, which stand in the failure store."""


def properties(node, stream: str = STREAM) -> dict[str, str]:
    """Every field of the write index with its type."""
    indices = node.expect("GET", f"/{stream}/_mapping")
    newest = indices[max(indices)]["mappings"]["properties"]

    def flat(prefix: str, fields: dict) -> Iterator[tuple[str, str]]:
        for name, field in fields.items():
            if "properties" in field:
                yield from flat(f"{prefix}{name}.", field["properties"])
            else:
                yield prefix + name, field["type"]

    return dict(flat("", newest))


def found(node, names: list[str], **more) -> dict[str, dict]:
    """The documents of these ids in the stream."""
    body = {"size": 10_000, "query": {"ids": {"values": names}}, **more}
    hits = node.expect("POST", f"/{STREAM}/_search", body)["hits"]["hits"]
    return {hit["_id"]: hit for hit in hits}


@pytest.mark.verifies(component=COMPONENT, claim="takes every line that the services wrote, odd ones too")
def test_no_line_is_rejected(shipped):
    assert len(shipped.documents) == len(shipped.written) > 120
    assert shipped.answer["errors"] is False
    stored = {
        document.source["message"]
        for document, item in zip(shipped.documents, shipped.answer["items"], strict=True)
        if item["create"].get("failure_store") == "used"
    }
    assert stored == REFUSED


@pytest.mark.verifies(component=COMPONENT, claim="has each field of our lines under its declared type")
def test_every_field_lands_with_its_declared_type(ready, shipped):
    types = properties(ready)
    assert {name: types.get(name) for name in DECLARED if types.get(name) not in DECLARED[name]} == {}
    beside = {name for name in types.keys() - DECLARED.keys() if not name.startswith("kubernetes.")}
    assert beside == set(TRANSPORT)


def test_the_services_wrote_every_declared_field(shipped):
    written = {name for document in shipped.documents for name in document.source}
    assert DECLARED.keys() <= written


@pytest.mark.verifies(component=COMPONENT, claim="keeps every value of every field, typed, as it was written")
def test_every_value_comes_back_typed(ready, shipped):
    columns = [name for name, types in DECLARED.items() if types & {"keyword", "long", "double"}]
    columns = [name for name in columns if properties(ready)[name] in ("keyword", "long", "double")]
    hits = found(ready, list(shipped.by_id), docvalue_fields=columns)
    compared = 0
    for name, document in shipped.by_id.items():
        if document.source["message"] in REFUSED:
            continue
        hit = hits[name]
        assert hit["_source"] == document.source
        for name in set(columns) & document.source.keys() - set(hit.get("_ignored", ())):
            value = document.source[name]
            assert hit["fields"].get(name, [None]) == [value], (document.source, name)
            compared += 1
    assert compared > 500


@pytest.mark.verifies(
    component=COMPONENT, claim="ignores but keeps values that are not of their field's type"
)
def test_only_odd_values_are_left_out_of_the_index(ready, shipped):
    hits = found(ready, list(shipped.by_id))
    ignored = {
        (hit["_source"]["message"].partition("/cars/xxx")[0], name)
        for hit in hits.values()
        for name in hit.get("_ignored", ())
    }
    assert ignored == {
        ("odd: a number that is declared, as text", "http.response.status_code"),
        ("odd: a number beyond all integers", "http.response.status_code"),
    }


@pytest.mark.verifies(component=COMPONENT, claim="sorts lines by their own microseconds")
def test_lines_are_sorted_by_the_microsecond(ready, shipped):
    car = [
        each
        for each in shipped.documents
        if each.source.get("service") == "car" and "timestamp" in each.source
    ]
    kept = sorted(each.source["timestamp"] for each in car if each.source["message"] not in REFUSED)
    body = {"size": 10_000, "query": {"term": {"service": "car"}}, "sort": [{"timestamp": "asc"}]}
    hits = ready.expect("POST", f"/{STREAM}/_search", body)["hits"]["hits"]
    assert [hit["_source"]["timestamp"] for hit in hits] == kept


@pytest.mark.verifies(component=COMPONENT, claim="says of a bulk in one word whether all of it is stored")
def test_a_bulk_is_answered_in_one_word(ready, shipped):
    # 5.1 takes more than that for success as soon as one item is: ADR 100.
    def answer(*heads: dict) -> dict:
        rows = [json.dumps(row) for head in heads for row in ({"create": head}, {"@timestamp": 0})]
        user = {"user": "fluent-bit", "password": password("fluent-bit")}
        return ready.expect("POST", FluentBit().address, ("\n".join(rows) + "\n").encode(), **user)

    head = {"_index": "logs-dashcam-asked"}
    assert answer(head, head) == {"errors": False}
    assert answer({**head, "_id": "1"}) == {"errors": False}
    # It is there already, and the other is stored.
    assert answer({**head, "_id": "1"}, head) == {"errors": True}


@pytest.mark.verifies(
    component=COMPONENT, claim="keeps what is no JSON, and what a runtime tore apart, as one text"
)
def test_plain_text_and_torn_lines_stay_whole(ready):
    text = "Segmentation fault " + "in größe " * 9000
    (document,) = through_fluent_bit([Written("car", "stderr", text)])
    answer = deliver(ready, [document])
    assert answer["errors"] is False
    (hit,) = found(ready, ids(answer)).values()
    assert hit["_source"]["message"] == text
    assert hit["_source"]["stream"] == "stderr"
    assert hit["_source"]["kubernetes"]["pod_name"] == "car-5d8f7c9b6-x2x4z"


FOREIGN = {
    "an object for a text": {"message": {"text": "a"}},
    "an object for a keyword": {"service": {"name": "a"}},
    "a value for an object": {"http": "GET /"},
    "a value for our own group": {"kubernetes": "none"},
    "a text for a time": {"timestamp": "yesterday", "message": "a"},
    "no names": {"": 1, " ": 2},
    "names of the index itself": {"_id": "a", "_index": "b"},
    "too deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": {"k": {"l": 1}}}}}}}}}}}},
    "a value, then an object": {"part": 1},
    "an object, after a value": {"part": {"a": 1}},
}
"""JSON of others in a service's container: of its server, or of a library that prints."""


@pytest.mark.parametrize("case", FOREIGN)
@pytest.mark.verifies(
    component=COMPONENT, claim="rejects no line of others, so that no chunk is sent for ever"
)
def test_json_of_others_is_kept_in_the_index_or_in_the_failure_store(ready, shipped, case):
    written = Written("car", "stdout", json.dumps({"case": case, **FOREIGN[case]}))
    answer = deliver(ready, through_fluent_bit([written]))
    assert answer["errors"] is False, answer
    (item,) = (item["create"] for item in answer["items"])
    assert item["status"] == 201
    where = f"{STREAM}::failures" if item.get("failure_store") == "used" else STREAM
    ready.expect("POST", f"/{where.replace('::', '%3A%3A')}/_refresh")
    hits = ready.expect("POST", f"/{where}/_search", {"size": 1000})["hits"]["hits"]
    sources = [hit["_source"].get("document", {}).get("source", hit["_source"]) for hit in hits]
    assert case in {source.get("case") for source in sources}


@pytest.mark.verifies(component=COMPONENT, claim="stays within its limit of fields whatever is written")
def test_the_fields_stay_within_their_limit(ready, shipped):
    many = [
        Written(
            "car", "stdout", json.dumps({"message": f"many {n}", **{f"name-{n}-{m}": m for m in range(300)}})
        )
        for n in range(5)
    ]
    assert deliver(ready, through_fluent_bit(many))["errors"] is False
    limit = json.loads((BASE / "bootstrap" / "template.json").read_text())
    assert (
        len(properties(ready)) <= limit["template"]["settings"]["index"]["mapping"]["total_fields"]["limit"]
    )
    late = Written("car", "stdout", json.dumps({"message": "late", "http.response.status_code": 418}))
    deliver(ready, through_fluent_bit([late]))
    body = {"query": {"bool": {"filter": [{"term": {"http.response.status_code": 418}}]}}}
    (hit,) = ready.expect("POST", f"/{STREAM}/_search", body)["hits"]["hits"]
    assert hit["_source"]["message"] == "late"


@pytest.mark.verifies(
    component=COMPONENT, claim="takes lines of all other containers as text, in a stream of their own"
)
def test_lines_of_other_containers_stay_text_in_their_own_stream(ready):
    rows = [
        '2026-11-22T10:00:00.5Z stderr F {"level": {"name": 3}, "time": 12, "message": ["x"]}',
        "2026-11-22T10:00:01.123456789Z stdout F plain",
    ]
    path = f"/var/log/pods/kube-system_coredns-7db6d8ff4d-abcde_{UID}/coredns/0.log"
    documents = FluentBit().documents(path, rows)
    answer = deliver(ready, documents, "logs-dashcam-cluster")
    assert answer["errors"] is False
    body = {"sort": ["@timestamp"], "docvalue_fields": ["@timestamp"]}
    hits = ready.expect(
        "POST", "/logs-dashcam-cluster/_search", body, user="grafana", password=password("grafana")
    )["hits"]["hits"]
    assert [hit["_source"]["message"] for hit in hits] == [rows[0].partition(" F ")[2], "plain"]
    assert hits[1]["fields"]["@timestamp"] == ["2026-11-22T10:00:01.123456789Z"]
