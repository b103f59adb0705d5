"""docker/: the compose file, what it mounts and what the containers expect of each other fit together."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from capstone_utils.commands import COMMANDS
from capstone_utils.ingestion.broker.broker import LOCK
from capstone_utils.ingestion.broker.java import find_java
from capstone_utils.ingestion.broker.maven import fetch_jars
from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS, dashboard_file
from capstone_utils.monitoring.prometheus.rules import CONFIG
from capstone_utils.serving.service.app import create_app
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.settings import ROOT, Settings

DOCKER = ROOT / "docker"


def read(path: str) -> dict:
    return yaml.safe_load((DOCKER / path).read_text(encoding="utf-8"))


COMPOSE = read("compose.yaml")
SERVICES = COMPOSE["services"]
PROMETHEUS = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))


def mounts(service: str) -> dict[str, Path]:
    """What on this machine is seen at which path of the container; named volumes left out."""
    found = {}
    for volume in SERVICES[service].get("volumes", []):
        if isinstance(volume, str):
            source, target = volume.split(":")[:2]
        else:
            source, target = volume["source"], volume["target"]
        source = source.removeprefix("${CAPSTONE_WORK_DIR:-").removesuffix("}")
        if source.startswith("."):
            found[target] = (DOCKER / source).resolve()
    return found


def on_this_machine(path: str, service: str) -> Path:
    """The file that the container sees at `path`."""
    target = next(target for target in mounts(service) if path.startswith(target))
    return mounts(service)[target] / path[len(target) :].lstrip("/")


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_open_to_this_machine_alone(service):
    for port in SERVICES[service].get("ports", []):
        assert port.startswith("127.0.0.1:"), port


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned(service):
    image = SERVICES[service].get("image") or re.search(r"^FROM (\S+)$", (DOCKER / "Dockerfile").read_text(), re.M)[1]
    assert re.fullmatch(r"[\w/]+:v?\d+\.\d+[\w.-]*", image), image


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_says_whether_it_is_healthy(service):
    assert SERVICES[service]["healthcheck"]["test"][0] == "CMD"


def test_a_user_of_one_door_need_not_start_the_other():
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    assert profiles == {
        "kafka": ["stream"],
        "worker": ["stream"],
        "feedback": ["stream"],
        "watch": ["stream"],
        "service": ["http"],
        "prometheus": None,
        "alertmanager": None,
        "pager": None,
        "grafana": None,
    }
    assert "service" not in SERVICES["worker"]["depends_on"]


def test_grafana_has_no_password_but_the_one_that_is_given():
    environment = SERVICES["grafana"]["environment"]
    assert re.fullmatch(r"\$\{GRAFANA_PASSWORD:\?.+\}", environment["GF_SECURITY_ADMIN_PASSWORD"])
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == environment["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_nothing_else_in_the_folder_holds_a_password():
    for path in filter(Path.is_file, DOCKER.rglob("*")):
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"(?i)(?:password|secret|token)\w*\s*[:=]\s*(\S+)", text):
            assert found.startswith("${GRAFANA_PASSWORD:?"), f"{path.name}: {found}"


def test_the_service_has_no_key_but_the_one_that_is_given():
    assert re.fullmatch(r"\$\{CAPSTONE_API_KEY:\?.+\}", SERVICES["service"]["environment"]["CAPSTONE_API_KEY"])


def test_the_service_may_write_where_it_keeps_its_journal():
    inside = SERVICES["service"]["environment"]["CAPSTONE_STATE_DIR"]
    assert f"service-state:{inside}" in SERVICES["service"]["volumes"]
    assert "service-state" in COMPOSE["volumes"]
    assert f"install -d -o service {inside}" in (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def scraped() -> dict[str, list[str]]:
    """What Prometheus scrapes, by job."""
    jobs = PROMETHEUS["scrape_configs"]
    return {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}


def test_the_worker_finds_kafka_its_model_and_a_place_for_its_snapshots_and_prometheus_finds_it():
    environment = SERVICES["worker"]["environment"]
    listeners = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"{environment['CAPSTONE_KAFKA_HOST']}:{environment['CAPSTONE_KAFKA_PORT']}" in listeners
    assert mounts("worker") == {environment["CAPSTONE_WORK_DIR"]: Settings().work_dir}
    assert f"worker-state:{environment['CAPSTONE_STATE_DIR']}" in SERVICES["worker"]["volumes"]
    assert scraped()["feedback"] == [f"feedback:{Settings().feedback_metrics_port}"]
    assert scraped()["stream_worker"] == [f"worker:{Settings().worker_metrics_port}"]


def test_kafka_has_the_version_of_the_notebooks_broker():
    versions = dict(line.split("\t")[1:3] for line in LOCK.read_text(encoding="utf-8").splitlines())
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{versions['kafka_2.13']}"


def test_kafkas_own_tool_takes_the_settings(tmp_path):
    settings = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    settings["log.dirs"] = str(tmp_path / "data")
    text = "".join(f"{name}={value}\n" for name, value in settings.items())
    properties = tmp_path / "server.properties"
    properties.write_text(text.replace("${CAPSTONE_KAFKA_PORT:-9092}", "9092"))
    jars = ":".join(map(str, fetch_jars(LOCK, Settings.from_environment().cache_dir)))
    command = [find_java(), "-cp", jars, "kafka.tools.StorageTool", "format", "--cluster-id=4L6g3nShT-eMCtK--X86sw"]
    result = subprocess.run([*command, "--config", properties], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "data" / "meta.properties").exists()


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there(service):
    for path in mounts(service).values():
        assert path.exists() or path == Settings().work_dir, f"{path} is not in the repository"


def test_the_service_sees_the_models_that_the_notebooks_leave():
    inside = SERVICES["service"]["environment"]["CAPSTONE_WORK_DIR"]
    assert mounts("service") == {inside: Settings().work_dir}


def test_prometheus_scrapes_the_service_where_it_listens():
    config = PROMETHEUS
    assert scraped()["fastapi_metrics"] == [f"service:{Settings().metrics_port}"]
    assert all(on_this_machine(f"/etc/prometheus/{file}", "prometheus").exists() for file in config["rule_files"])
    assert SERVICES["service"]["environment"]["CAPSTONE_HOST"] == "0.0.0.0", "other containers would not reach it"


def test_an_alert_finds_its_way_to_the_pager():
    (alertmanagers,) = PROMETHEUS["alerting"]["alertmanagers"]
    assert alertmanagers["static_configs"] == [{"targets": [f"alertmanager:{Settings().alertmanager_port}"]}]
    routes = yaml.safe_load(on_this_machine("/etc/alertmanager/alertmanager.yml", "alertmanager").read_text())
    urls = [hook["url"] for receiver in routes["receivers"] for hook in receiver["webhook_configs"]]
    assert {urlsplit(url).netloc for url in urls} == {f"pager:{Settings().pager_port}"}
    assert SERVICES["pager"]["command"][-1] in COMMANDS


def test_the_health_check_asks_for_a_page_that_the_service_has():
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", " ".join(SERVICES["service"]["healthcheck"]["test"]))
    paths = {route.path for route in create_app(None, ServiceMetrics()).routes}
    assert (int(asked[1]), asked[2] in paths) == (Settings().api_port, True)


def test_the_dashboards_ask_the_data_source_that_is_provisioned():
    (source,) = read("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    panels = [panel for made in DASHBOARDS.values() for panel in made()["panels"]]
    named = {json.dumps(panel["datasource"]) for panel in panels}
    assert named == {json.dumps({"type": source["type"], "uid": source["uid"]})}
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]


def test_grafana_finds_what_is_provisioned_where_it_looks():
    for kind in ("datasources", "dashboards"):
        assert list(on_this_machine(f"/etc/grafana/provisioning/{kind}", "grafana").glob("*.yaml"))
    (provider,) = read("grafana/provisioning/dashboards/files.yaml")["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert on_this_machine(home, "grafana").parent == on_this_machine(provider["options"]["path"], "grafana")
    assert on_this_machine(home, "grafana") == dashboard_file("duty")


def test_the_image_takes_files_that_are_there_and_runs_as_an_ordinary_user():
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    allowed = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert copied == ["pyproject.toml", "README.md", "constraints.txt", "capstone_utils"]
    assert all((ROOT / name).exists() and f"!{name}" in allowed for name in copied)
    assert "USER service" in lines[lines.index("COPY capstone_utils ./capstone_utils") :]
    command = json.loads(next(line for line in lines if line.startswith("CMD")).removeprefix("CMD "))
    assert (ROOT / f"{command[-1].replace('.', '/')}.py").exists(), "a list: without a shell, signals arrive"


def test_the_readmes_payments_arrive_at_a_broker(broker, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (DOCKER / "README.md").read_text(encoding="utf-8"), re.S)
    code = code.replace("127.0.0.1:9092", broker.bootstrap_servers).replace("=500", "=None")
    exec(code, {})
    assert "ProduceReport" in capsys.readouterr().out
