"""Which Secrets are made, which are copied, and which a person is asked for."""

from __future__ import annotations

from typing import Any

from dashcam.cluster.secrets import COPIED, MADE, Name, named, plan, secret


def deployment(
    name: str, *variables: tuple[str, str], namespace: str = "dashcam", kind: str = "Deployment"
) -> Any:
    env = [
        {"name": f"V{number}", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for number, (secret, key) in enumerate(variables)
    ]
    pod = {"containers": [{"name": "app", "env": env}]}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"spec": pod}},
    }


CAR = deployment("car", ("car-database", "DATABASE_URL"), ("car-write-token", "CAR_WRITE_TOKEN"))
POSTGRES = deployment("postgres", ("car-database", "POSTGRES_PASSWORD"), kind="StatefulSet")
DATABASE, TOKEN = Name("dashcam", "car-database"), Name("dashcam", "car-write-token")


def test_a_database_of_our_own_gets_a_password_of_our_own() -> None:
    asked = plan([CAR, POSTGRES], {})
    assert set(asked.make) == {DATABASE, TOKEN}
    assert asked.missing == ()
    made = MADE[DATABASE]()
    assert made["POSTGRES_PASSWORD"] in made["DATABASE_URL"]


def test_the_address_of_a_database_elsewhere_is_asked_for_by_its_key() -> None:
    asked = plan([CAR], {})
    assert asked.missing == ("dashcam/car-database (DATABASE_URL)",)
    assert asked.make == (TOKEN,)


def test_what_is_there_is_left_alone() -> None:
    present = {DATABASE: {"DATABASE_URL", "POSTGRES_PASSWORD"}, TOKEN: {"CAR_WRITE_TOKEN"}}
    asked = plan([CAR, POSTGRES], present)
    assert (asked.make, asked.copy, asked.missing) == ((), (), ())


def test_a_secret_that_lacks_a_key_is_named_with_the_key() -> None:
    asked = plan([CAR, POSTGRES], {DATABASE: {"DATABASE_URL"}, TOKEN: {"CAR_WRITE_TOKEN"}})
    assert asked.missing == ("dashcam/car-database (it is there, but lacks POSTGRES_PASSWORD)",)


def test_what_an_operator_makes_is_not_made_here() -> None:
    objects = [
        CAR,
        {"kind": "ExternalSecret", "metadata": {"name": "car-database", "namespace": "dashcam"}, "spec": {}},
        {
            "kind": "ExternalSecret",
            "metadata": {"name": "car-write-token", "namespace": "dashcam"},
            "spec": {},
        },
    ]
    asked = plan(objects, {})
    assert (asked.make, asked.missing) == ((), ())


def test_the_agents_get_a_copy_of_their_one_password() -> None:
    agent = deployment("fluent-bit", ("elasticsearch-fluent-bit", "password"), namespace="dashcam-agents")
    asked = plan([agent], {})
    assert asked.copy == (Name("dashcam-agents", "elasticsearch-fluent-bit"),)


def test_what_a_nightly_job_and_an_operator_read_counts_too() -> None:
    job = deployment("jaeger-dependencies", ("elasticsearch-users", "jaeger"))
    nightly = {**job, "kind": "CronJob", "spec": {"jobTemplate": {"spec": job["spec"]}}}
    cluster = {
        "kind": "Elasticsearch",
        "metadata": {"name": "elasticsearch", "namespace": "dashcam"},
        "spec": {"auth": {"fileRealm": [{"secretName": "elasticsearch-file-realm"}]}},
    }
    asked = plan([nightly, cluster], {})
    assert asked.make == (Name("dashcam", "elasticsearch-users"),)
    assert asked.copy == (Name("dashcam", "elasticsearch-file-realm"),)


def test_the_copy_for_an_operator_is_a_user_in_its_form() -> None:
    copy = COPIED[Name("dashcam", "elasticsearch-file-realm")]
    assert copy.source == Name("dashcam", "elasticsearch-users")
    assert {copy.here, *copy.besides} == {"username", "password", "roles"}


def test_keys_of_mounted_files_count_and_no_items_mean_the_whole_secret() -> None:
    each = deployment("x")
    each["spec"]["template"]["spec"]["volumes"] = [
        {"name": "a", "secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}},
        {"name": "b", "secret": {"secretName": "whole"}},
    ]
    assert named([each]) == {Name("dashcam", "s"): {"k"}, Name("dashcam", "whole"): set()}


def test_two_passwords_are_never_the_same() -> None:
    passwords = [value for make in MADE.values() for value in make().values() if value != "admin"]
    assert len(set(passwords)) == len(passwords)
    assert all(len(value) >= 40 for value in passwords)


def test_a_made_secret_says_whose_it_is() -> None:
    labels = secret(TOKEN, {"CAR_WRITE_TOKEN": "x"})["metadata"]["labels"]
    assert labels["app.kubernetes.io/part-of"] == "dashcam"
