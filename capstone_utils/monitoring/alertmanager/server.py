"""A real Alertmanager on this machine, with the routes and inhibitions of production."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import yaml

from capstone_utils.errors import CapstoneError
from capstone_utils.files import write_text
from capstone_utils.monitoring.prometheus.binary import Program, find_program
from capstone_utils.monitoring.prometheus.durations import shorten
from capstone_utils.servers import LocalServer
from capstone_utils.settings import Settings

CONFIG = Path(__file__).with_name("config") / "alertmanager.yml"
TEMPLATES = "/usr/share/prometheus/alertmanager"  # where Debian's looks for them
ALERTMANAGER = Program(
    names=("alertmanager", "prometheus-alertmanager"),
    package="prometheus-alertmanager",
    oldest=(0, 22),  # the first to read `matchers`
    other_ways="Debian and Ubuntu: apt install prometheus-alertmanager; macOS: brew install alertmanager",
    own_files=TEMPLATES,
)
ASK_SECONDS = 10.0
WAITING = ("group_wait", "group_interval", "repeat_interval")


class AlertmanagerError(CapstoneError, RuntimeError):
    """An Alertmanager that cannot be started or does not answer; the message says why and what to do."""


class HeldAlert(NamedTuple):
    """An alert as Alertmanager holds it; `state` is "active", or "suppressed" by a silence or by another alert."""

    name: str
    severity: str
    state: str
    receivers: tuple[str, ...]


class Alertmanager(LocalServer):
    """A running Alertmanager; its `with` block stops it if this handle started it, `stop()` if this process did."""

    kind, folder, port_setting = "Alertmanager", "alertmanager", "alertmanager_port"
    error = AlertmanagerError
    start_seconds = 30.0

    @property
    def address(self) -> str:
        """The "host:port" to which Prometheus sends alerts."""
        return f"{self.settings.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of its pages and its API."""
        return f"http://{self.address}"

    def running(self) -> bool:
        """True when it answers, with the configuration of this directory."""
        try:
            status = httpx.get(f"{self.url}/api/v2/status", timeout=ASK_SECONDS).json()
            return f"name: {self.directory}\n" in status["config"]["original"]
        except (httpx.HTTPError, ValueError, TypeError, KeyError):  # nothing there, or something else
            return False

    def alerts(self) -> list[HeldAlert]:
        """The alerts that it holds now, by name."""
        answer = httpx.get(f"{self.url}/api/v2/alerts", timeout=ASK_SECONDS).raise_for_status().json()
        held = [
            HeldAlert(
                each["labels"]["alertname"],
                each["labels"].get("severity", ""),
                each["status"]["state"],
                tuple(receiver["name"] for receiver in each["receivers"]),
            )
            for each in answer
        ]
        return sorted(held)

    def reload(self) -> None:
        """Make it read its configuration again.

        Raises:
            AlertmanagerError: when it refuses the configuration, in its own words.
        """
        response = httpx.post(f"{self.url}/-/reload", timeout=ASK_SECONDS)
        if not response.is_success:
            raise AlertmanagerError(f"Alertmanager keeps its earlier configuration: {response.text}")


def configuration(pager_url: str, factor: float = 1.0, config: Path = CONFIG) -> dict[str, Any]:
    """Docker's configuration with the address of the pager, and with every waiting time divided by `factor`.

    Raises:
        ValueError: when `factor` is below 1.
    """
    if factor < 1:
        raise ValueError(f"factor={factor} would make the alerts slower; give a factor of 1 or more")
    content: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
    for hook in (hook for receiver in content["receivers"] for hook in receiver["webhook_configs"]):
        hook["url"] = pager_url + urlsplit(hook["url"]).path
    for route in (content["route"], *content["route"]["routes"]):
        for name in WAITING:
            if name in route:
                route[name] = shorten(route[name], factor)
    return content


def start_alertmanager(settings: Settings, pager_url: str, factor: float = 1.0) -> Alertmanager:
    """The Alertmanager of `settings.work_dir`: the one already running, else one started now.

    One that was running already sends its messages to `pager_url` from now on.

    Args:
        settings: `alertmanager_port` (0: any free one), `work_dir`, and `cache_dir` for the binary.
        pager_url: the server that takes the messages, as `Pager.url`.
        factor: how many times as fast as in production it shall be, as `faster` makes the rules.

    Raises:
        ProgramNotFound: when there is none to run.
        AlertmanagerError: when the port is taken, or when it refuses its configuration, dies or is not ready in time.
    """
    with Alertmanager.start_lock(settings):
        running = Alertmanager.find(settings)
        server = running or Alertmanager.at_free_port(settings)
        content = configuration(pager_url, factor)
        content["receivers"].append({"name": str(server.directory)})  # takes nothing: by its name `running` knows it
        file = server.directory / "alertmanager.yml"
        write_text(file, yaml.safe_dump(content, sort_keys=False, width=1000))
        if running:
            running.reload()
            return running
        program = find_program(ALERTMANAGER, settings.cache_dir)
        for template in (program.parents[1] / TEMPLATES.removeprefix("/usr/")).glob("*.tmpl"):
            shutil.copy(template, server.directory)  # the unpacked program looks for them where it is started
        server.launch(
            [
                str(program),
                f"--config.file={file}",
                f"--storage.path={server.directory / 'data'}",
                f"--web.listen-address={server.address}",
                "--cluster.listen-address=",  # alone: no port for others of its kind
                "--log.level=warn",
            ]
        )
        return server
