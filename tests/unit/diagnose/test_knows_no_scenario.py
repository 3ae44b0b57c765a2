"""The diagnosis reads telemetry alone: neither the switches of faults nor the scenarios' files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from exampleservices import SERVICES

from dashcam.lab.drawn import draw
from dashcam.lab.scenario import load

HERE = Path(__file__).parents[3] / "dashcam" / "diagnose"


def test_the_diagnosis_loads_nothing_that_knows_of_faults_or_scenarios() -> None:
    script = (
        "import sys, dashcam.diagnose.verdict, dashcam.diagnose.report, dashcam.diagnose.single_trace\n"
        "print(*sorted(name for name in sys.modules if name.startswith(('dashcam', 'services'))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "dashcam.diagnose.trace_causes" in loaded
    assert not [
        name for name in loaded if name.startswith(("dashcam.lab", "dashcam.sources.switches", "services"))
    ]


def test_no_module_of_the_diagnosis_names_a_scenario_or_a_service_of_the_example() -> None:
    names = {f'"{name}"' for name in SERVICES}
    words = {*load(), *names, "bentz", "pg_sleep", "DASHCAM_FAULTS_FILE", "flags.json"}
    for path in HERE.glob("*.py"):
        text = path.read_text()
        assert not [word for word in words if word in text], path.name


def test_every_scenario_expects_a_kind_that_the_diagnosis_can_give() -> None:
    given = "\n".join(path.read_text() for path in HERE.glob("*.py"))
    for scenario in (*load().values(), *map(draw, range(50))):
        assert scenario.title
        assert scenario.description
        switched = (scenario.faults, scenario.flags, scenario.stop)
        made = (scenario.lock, scenario.full, scenario.twin, scenario.slow_clients)
        assert any(switched + made), scenario.name
        for expected in scenario.expect:
            for kind in expected.kinds:
                assert f'"{kind}"' in given, f"{scenario.name}: {kind}"


def test_every_fault_that_a_scenario_switches_is_in_the_catalogue() -> None:
    from dashcam.sources.switches import CATALOGUE, parse

    known = parse(CATALOGUE.read_text())
    for scenario in load().values():
        twins = scenario.twin.faults if scenario.twin else ()
        assert {*scenario.faults, *twins} <= set(known), scenario.name
