"""What rolls out: images by digest in an overlay, and roll-outs that the objectives gate."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import ROOT, build, rendered

from dashboards.src import rollouts
from dashboards.src.slos import load

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"registry.example.com/shop/car@{DIGEST}"


def images(objects: Any, kind: str = "Deployment") -> dict[str, str]:
    return {
        each["metadata"]["name"]: container["image"]
        for each in objects
        if each["kind"] == kind
        for container in each["spec"]["template"]["spec"]["containers"]
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The manifests, in a folder of their own."""
    ours = shutil.ignore_patterns("__pycache__")
    for folder in ("k8s", "dashboards/generated", "scenarios"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ours)
    return tmp_path


def promote(checkout: Path, overlay: str, service: str, image: str) -> subprocess.CompletedProcess[str]:
    # The rule of the Makefile, with the folders of the copy.
    words = [
        f"OVERLAY={overlay}",
        f"SERVICE={service}",
        f"IMAGE={image}",
        f"IMAGE_LISTS={checkout}/k8s/overlays",
    ]
    return subprocess.run(["make", "-s", "promote", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_a_promoted_image_runs_by_its_digest_and_the_others_stay(checkout: Path, overlay: str) -> None:
    folder = checkout / "k8s" / "overlays" / overlay
    before = images(build(folder))
    done = promote(checkout, overlay, "car", IMAGE)
    assert done.returncode == 0, done.stderr
    assert images(build(folder)) == before | {"car": IMAGE}
    later = IMAGE.replace("0123", "3210")
    assert promote(checkout, overlay, "car", later).returncode == 0
    assert images(build(folder))["car"] == later
    assert (folder / "images" / "kustomization.yaml").read_text().startswith("# Which image of each service")


@pytest.mark.parametrize(
    ("overlay", "service", "image", "says"),
    [
        ("production", "car", "registry.example.com/shop/car:1.2", "give an image by its digest"),
        ("production", "car", "registry.example.com/shop/car@sha256:abc", "give an image by its digest"),
        ("production", "nothing", IMAGE, "there is no service nothing"),
        ("prod", "car", IMAGE, "there is no overlay prod with images: use one of local production"),
    ],
)
def test_an_image_by_tag_and_an_unknown_service_or_overlay_are_refused(
    checkout: Path, overlay: str, service: str, image: str, says: str
) -> None:
    done = promote(checkout, overlay, service, image)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_each_service_has_a_rollout_that_its_objectives_gate(overlay: str) -> None:
    objects = rendered(f"{overlay}+argo-rollouts")
    services = set(images(objects)) & {slo.service for slo in load().slos}
    rolled = {each["metadata"]["name"]: each for each in objects if each["kind"] == "Rollout"}
    gates = {each["metadata"]["name"]: each for each in objects if each["kind"] == "AnalysisTemplate"}
    assert set(rolled) == set(gates) == services
    for name, each in rolled.items():
        assert each["spec"]["workloadRef"]["name"] == name
        assert [
            gate["templateName"] for gate in each["spec"]["strategy"]["canary"]["analysis"]["templates"]
        ] == [name]
    scaled = {
        each["spec"]["scaleTargetRef"]["kind"]
        for each in objects
        if each["kind"] == "HorizontalPodAutoscaler"
    }
    assert scaled == {"Rollout"}


def test_what_a_gate_asks_is_recorded_and_can_be_asked(tmp_path: Path) -> None:
    objectives = load()
    recorded = (ROOT / "dashboards/generated/rules/slo.yml").read_text()
    rules = []
    for path, page in rollouts.objects(objectives).items():
        for metric in page.get("spec", {}).get("metrics", ()):
            query = metric["provider"]["prometheus"]["query"].replace("{{args.hash}}", "7d9f8c")
            assert set(re.findall(r"slo:\w+:total", query)) <= set(re.findall(r"record: (\S+)", recorded)), (
                path
            )
            assert f"slo: {metric['name']}\n" in recorded
            rules.append({"record": "asked", "expr": query})
    assert len(rules) == len(objectives.slos)
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", str(file)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_gate_closes_where_the_page_of_the_objective_would_fire() -> None:
    objectives = load()
    (slo,) = [each for each in objectives.slos if each.name == "car-availability"]
    assert rollouts.limit(slo, objectives) == pytest.approx(14.4 * 0.001)
