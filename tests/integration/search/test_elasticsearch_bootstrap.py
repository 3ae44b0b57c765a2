"""The bootstrap Job's own script against a real Elasticsearch: what it makes, and what its users may do."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from integration.search.conftest import BASE, STREAM, USERS, bootstrap_script, password
from polling import until


def role(user: str) -> dict:
    return json.loads((BASE / "bootstrap" / f"role-{user}.json").read_text())


def test_the_bootstrap_waits_for_an_elasticsearch_that_is_not_there_yet(tmp_path):
    script = bootstrap_script("any password", tmp_path)
    output = tmp_path / "output"
    # Port 9 is nobody's.
    environ = {"PATH": os.environ["PATH"], "ELASTICSEARCH_URL": "http://127.0.0.1:9"}
    with output.open("wb") as out:
        waiting = subprocess.Popen(["bash", str(script)], env=environ, stdout=out, stderr=out)
    try:
        until(lambda: output.read_text().count("curl: (7)") >= 2, "a second attempt", within=30)
        assert waiting.poll() is None
    finally:
        waiting.terminate()
        waiting.wait(10)
    assert "lifecycles" not in output.read_text()


@pytest.mark.verifies(
    component="Elasticsearch", claim="takes every request of the bootstrap Job, again when it runs twice"
)
def test_the_bootstrap_runs_twice_and_says_what_it_does(bootstrap):
    first, second = bootstrap(), bootstrap()
    assert first.endswith("done\n")
    assert second.endswith("done\n")
    assert second.count('"acknowledged":true') == 3
    assert '"created":true' not in second.replace(" ", "")


@pytest.mark.verifies(
    component="Elasticsearch", claim="has the template, the lifecycles, roles and users as written"
)
def test_what_the_bootstrap_wrote_is_there(ready):
    (template,) = ready.expect("GET", "/_index_template/logs-dashcam")["index_templates"]
    written = json.loads((BASE / "bootstrap" / "template.json").read_text())
    assert template["index_template"]["index_patterns"] == written["index_patterns"]
    assert template["index_template"]["template"]["mappings"] == written["template"]["mappings"]
    for name, file in (("dashcam-logs", "lifecycle"), ("jaeger-ilm-policy", "jaeger-lifecycle")):
        policy = ready.expect("GET", f"/_ilm/policy/{name}")[name]["policy"]["phases"]
        wanted = json.loads((BASE / "bootstrap" / f"{file}.json").read_text())["policy"]["phases"]
        assert policy["delete"]["min_age"] == wanted["delete"]["min_age"]
        assert policy["hot"]["actions"]["rollover"] == wanted["hot"]["actions"]["rollover"]
    for user in set(USERS) - {"kibana_system"}:
        (found,) = ready.expect("GET", f"/_security/role/dashcam-{user}").values()
        assert sorted(found["cluster"]) == sorted(role(user)["cluster"])
        assert found["indices"][0]["names"] == role(user)["indices"][0]["names"]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.verifies(
    component="Elasticsearch", claim="lets every user in by the password of the Secret, and by no other"
)
def test_each_user_has_the_password_of_its_secret(ready, user):
    known = ready.expect("GET", "/_security/_authenticate", user=user, password=password(user))
    assert known["username"] == user
    assert known["enabled"] is True
    status, _ = ready.ask("GET", "/_security/_authenticate", user=user, password="guessed-wrong")
    assert status == 401


SEARCH = ("POST", f"/{STREAM}/_search", {"size": 1})
CREATE = ("POST", f"/{STREAM}/_create/once", {"@timestamp": "2026-01-01T00:00:00Z", "message": "may it?"})
MAY = {
    "fluent-bit": [("GET", "/", None)],
    "grafana": [
        SEARCH,
        ("GET", f"/{STREAM}/_mapping", None),
        ("GET", f"/{STREAM}/_field_caps?fields=*", None),
    ],
    "jaeger": [
        ("GET", "/", None),
        ("PUT", "/_index_template/jaeger-tried", {"index_patterns": ["jaeger-tried-*"]}),
        ("PUT", "/jaeger-tried", {}),
        ("POST", "/jaeger-tried/_doc?refresh=true", {"span": 1}),
        ("POST", "/jaeger-tried/_search", {}),
        ("DELETE", "/jaeger-tried", None),
    ],
    "elasticsearch-exporter": [
        ("GET", "/_cluster/health", None),
        ("GET", "/_nodes/stats", None),
        ("GET", "/_all/_stats", None),
    ],
}
MAY_NOT = {
    "fluent-bit": [
        SEARCH,
        ("DELETE", f"/{STREAM}/_doc/1", None),
        ("PUT", "/other", {}),
        ("POST", "/_security/user/x", {"password": "abcdefgh", "roles": ["superuser"]}),
    ],
    "grafana": [CREATE, ("DELETE", f"/{STREAM}", None), ("POST", "/jaeger-*/_search", {})],
    "jaeger": [("POST", f"/{STREAM}/_search", {}), ("PUT", "/other", {})],
    "elasticsearch-exporter": [SEARCH, ("PUT", "/other", {})],
}


@pytest.mark.parametrize("user", MAY)
@pytest.mark.verifies(component="Elasticsearch", claim="lets each user do what its part needs")
def test_a_user_may_do_what_its_part_needs(shipped, ready, user):
    for method, path, body in MAY[user]:
        status, answer = ready.ask(method, path, body, user=user, password=password(user))
        assert status in (200, 201), (method, path, answer)


@pytest.mark.parametrize("user", MAY_NOT)
@pytest.mark.verifies(component="Elasticsearch", claim="refuses each user what its part does not need")
def test_a_user_may_do_no_more_than_its_part_needs(shipped, ready, user):
    for method, path, body in MAY_NOT[user]:
        status, answer = ready.ask(method, path, body, user=user, password=password(user))
        refused = status == 403 or (path.startswith("/jaeger-*") and answer["hits"]["total"]["value"] == 0)
        assert refused, (method, path, status, answer)
