from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from exampleservices import CATALOGUE, SERVICES

from dashcam.stack import ports, programs, state
from dashcam.stack.needs import Need
from dashcam.stack.settings import ROOT, read
from observability.server.options import ServerSettings
from observability.settings import SettingError


def test_ports_are_the_documented_ones_by_default() -> None:
    of_services = {f"{each.name.upper()}_PORT": each.port for each in CATALOGUE.services}
    of_services |= {f"{each.name.upper()}_ADMIN_PORT": each.admin_port for each in CATALOGUE.services}
    assert (of_services["WEB_PORT"], of_services["CAR_ADMIN_PORT"]) == (5000, 15001)
    assert read({}).ports() == {
        **of_services,
        "OTLP_GRPC_PORT": 4317,
        "OTLP_HTTP_PORT": 4318,
        "CONSOLE_PORT": 16686,
        "PROMETHEUS_PORT": 9090,
        "ALERTMANAGER_PORT": 9093,
        "NATS_PORT": 4222,
    }


def test_an_admin_port_follows_its_service_and_can_be_set() -> None:
    assert read({"WEB_PORT": "6000"}).admin_port("web") == 16000
    assert read({"WEB_PORT": "6000", "WEB_ADMIN_PORT": "7000"}).admin_port("web") == 7000


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"WEB_PORT": "http"}, "WEB_PORT='http' cannot be used: give a whole number"),
        ({"CAR_PORT": "70000"}, "CAR_PORT='70000' cannot be used: give a number from 0 to 65535"),
        ({"WEB_PORT": "60000"}, "WEB_PORT=60000 leaves no port for its admin side"),
        ({"WEB_PORT": "5001"}, "WEB_PORT and CAR_PORT are both 5001"),
        ({"TRAFFIC": "some"}, "TRAFFIC='some' cannot be used: give true or false"),
        ({"TRAFFIC_RATE": "0"}, "TRAFFIC_RATE='0' cannot be used"),
        ({"TRAFFIC_RATE": "nan"}, "TRAFFIC_RATE='nan' cannot be used"),
        ({"DASHCAM_STATE_DIR": 'a"b'}, "DASHCAM_STATE_DIR="),
        ({"PROMETHEUS_RETENTION_TIME": "a week"}, "PROMETHEUS_RETENTION_TIME='a week' cannot be used"),
        ({"PROMETHEUS_RETENTION_SIZE": "half"}, "PROMETHEUS_RETENTION_SIZE='half' cannot be used"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingError) as error:
        read(environ)
    assert complaint in str(error.value)


def test_the_state_folder_is_relative_to_the_checkout() -> None:
    assert read({"DASHCAM_STATE_DIR": "here"}).state_dir == ROOT / "here"
    assert read({"DASHCAM_STATE_DIR": "/there"}).state_dir == Path("/there")


def test_settings_survive_the_way_through_the_environment() -> None:
    settings = read({"WEB_PORT": "6000", "TRAFFIC": "off", "TRAFFIC_RATE": "7.5"})

    assert read(settings.as_environ()) == settings


def test_zero_takes_free_ports_all_different() -> None:
    chosen = ports.choose_free(read(dict.fromkeys(read({}).ports(), "0")))

    assert len({port for port in chosen.ports().values() if port}) == len(chosen.ports())
    assert ports.unusable(chosen) == []


def test_a_free_port_is_none_that_the_system_gives_to_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        assert given.getsockname()[1] not in ports.CHOSEN_FROM
    assert set(ports.free_ports(50)) <= set(ports.CHOSEN_FROM)


def test_free_ports_are_neither_taken_nor_among_those_to_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    left_out, *free = random.sample(ports.CHOSEN_FROM, 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        monkeypatch.setattr(ports, "CHOSEN_FROM", (left_out, taken, *free))
        assert set(ports.free_ports(14, but=[left_out])) <= set(free)


def test_two_who_ask_at_the_same_time_never_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    given, others = ports.free_ports(3), random.sample(ports.CHOSEN_FROM, 30)
    ask = (
        "import sys; from dashcam.stack import ports; "
        "ports.CHOSEN_FROM = [int(port) for port in sys.argv[1:]]; print(*ports.free_ports(25))"
    )
    told = subprocess.run(
        [sys.executable, "-c", ask, *map(str, [*given, *others])],
        capture_output=True,
        text=True,
        check=True,
    )

    chosen = {int(port) for port in told.stdout.split()}
    assert len(chosen) == 25
    assert chosen.isdisjoint(given)


def test_too_few_free_ports_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "CHOSEN_FROM", ports.free_ports(2))

    with pytest.raises(OSError, match=r"only 0 are free, 1 are asked for: end what listens there"):
        ports.free_port()


def test_a_server_may_listen_on_a_port_that_is_reserved_for_it() -> None:
    given = ports.free_port()
    settings = read({"WEB_PORT": str(given)})

    assert given not in [refused.port for refused in ports.unusable(settings)]
    socket.create_server(("127.0.0.1", given)).close()


def test_the_prometheus_configuration_names_every_target_and_is_accepted(tmp_path: Path) -> None:
    settings = read({"DASHCAM_STATE_DIR": str(tmp_path), "CAR_PORT": "6001"})
    programs.write_configurations(settings)
    path = tmp_path / "prometheus" / "prometheus.yml"

    checked = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config = yaml.safe_load(path.read_text())
    fixed = [job for job in config["scrape_configs"] if "static_configs" in job]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in fixed}
    assert targets == {
        **{each.name: [f"127.0.0.1:{settings.admin_port(each.name)}"] for each in CATALOGUE.services},
        "receiver": ["127.0.0.1:4318"],
        "otlp": ["127.0.0.1:4318"],
        "console": ["127.0.0.1:16686"],
        "prometheus": ["127.0.0.1:9090"],
        "alertmanager": ["127.0.0.1:9093"],
    }


def test_the_links_of_alerts_lead_to_the_console_where_it_is(tmp_path: Path) -> None:
    programs.write_configurations(read({"DASHCAM_STATE_DIR": str(tmp_path), "CONSOLE_PORT": "26686"}))
    page = yaml.safe_load((tmp_path / "prometheus" / "prometheus.yml").read_text())
    assert page["global"]["external_labels"] == {"runbooks": "http://localhost:26686/runbooks"}
    (drop,) = page["alerting"]["alert_relabel_configs"]
    assert drop == {"action": "labeldrop", "regex": "runbooks"}, "the address is no label of an alert"


def test_the_alertmanager_configuration_is_accepted(tmp_path: Path) -> None:
    programs.write_configurations(read({"DASHCAM_STATE_DIR": str(tmp_path)}))

    for path in (tmp_path / "alertmanager" / "alertmanager.yml", programs.HERE / "alertmanager.yml"):
        checked = subprocess.run(["amtool", "check-config", path], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_traffic_can_be_switched_off() -> None:
    names = [program.name for program in programs.programs(read({}))]
    assert names == [*SERVICES, "receiver", "console", "prometheus", "alertmanager", "nats", "traffic"]
    assert [program.name for program in programs.programs(read({"TRAFFIC": "off"}))] == names[:-1]


def test_a_service_is_given_longer_to_end_than_it_promises_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHCAM_GRACE_PERIOD", "60")

    by_name = {program.name: program for program in programs.programs(read({}))}

    assert by_name["web"].stop_seconds > ServerSettings(grace=60).bound


def test_every_listening_part_is_told_to_listen_on_loopback() -> None:
    settings = read({})
    by_name = {program.name: program for program in programs.programs(settings)}

    assert _follows(by_name["prometheus"].command, "--listen") == "127.0.0.1:9090"
    assert _follows(by_name["alertmanager"].command, "--listen") == "127.0.0.1:9093"
    assert "--cluster.listen-address=" in by_name["alertmanager"].command
    common = programs.common_environ(settings)
    assert common["HOST"] == common["OTEL_EXPORTER_PROMETHEUS_HOST"] == "127.0.0.1"


def _follows(command: tuple[str, ...], option: str) -> str:
    return command[command.index(option) + 1]


def test_a_program_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Need, "path", lambda need: None)

    with pytest.raises(programs.MissingProgram, match="prometheus is not installed"):
        programs.programs(read({}))


def test_the_recorded_settings_are_json(tmp_path: Path) -> None:

    settings = read({"DASHCAM_STATE_DIR": str(tmp_path), "WEB_PORT": "6000"})
    state.write_settings(settings)

    assert json.loads(state.settings_file(tmp_path).read_text())["WEB_PORT"] == "6000"
    assert state.recorded_settings(read({"DASHCAM_STATE_DIR": str(tmp_path)})) == settings
