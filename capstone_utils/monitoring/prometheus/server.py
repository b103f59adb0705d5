"""A real Prometheus on this machine, with the configuration and rules of production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import yaml

from capstone_utils.files import write_text
from capstone_utils.monitoring.prometheus.binary import PROMETHEUS, find_program
from capstone_utils.monitoring.prometheus.client import ASK_SECONDS, PrometheusClient, PrometheusError
from capstone_utils.monitoring.prometheus.rules import RULE_FILES, scrape_configuration
from capstone_utils.servers import LocalServer
from capstone_utils.settings import Settings


class Prometheus(LocalServer, PrometheusClient):
    """A running Prometheus; its `with` block stops it if this handle started it, `stop()` if this process did."""

    kind, folder, port_setting = "Prometheus", "prometheus", "prometheus_port"
    error = PrometheusError
    start_seconds = 30.0

    def __init__(self, settings: Settings, started: bool) -> None:
        LocalServer.__init__(self, settings, started)
        PrometheusClient.__init__(self, f"http://{settings.host}:{self.port}")

    def running(self) -> bool:
        """True when it answers, as the Prometheus of this data directory."""
        try:
            response = httpx.get(f"{self.url}/api/v1/status/flags", timeout=ASK_SECONDS)
            flags = response.json()["data"]
            return bool(flags["storage.tsdb.path"] == str(self.directory / "data"))
        except (httpx.HTTPError, ValueError, TypeError, KeyError):  # nothing there, or something else
            return False

    def reload(self) -> None:
        """Make it read its configuration again.

        Raises:
            PrometheusError: when it refuses the configuration, and so keeps the one it had; with the words of its log.
        """
        start = self.log.stat().st_size
        response = httpx.post(f"{self.url}/-/reload", timeout=ASK_SECONDS)
        if not response.is_success:
            words = self.log.read_bytes()[start:].decode(errors="replace")
            raise PrometheusError(f"Prometheus keeps its earlier configuration, for it refused this one:\n{words}")


def start_prometheus(
    settings: Settings,
    targets: Mapping[str, str],
    scrape_interval: str = "5s",
    rules: Sequence[Path] = RULE_FILES,
    alertmanager: str = "",
) -> Prometheus:
    """The Prometheus of `settings.work_dir`, ready for questions: the one already running, else one started now.

    One that was running already scrapes `targets` and follows `rules` from now on, in place of what it had.

    Args:
        settings: `prometheus_port` (0: any free one), `work_dir`, and `cache_dir` for the binary.
        targets: "host:port" by job of config/prometheus.yml: {"fastapi_metrics": "127.0.0.1:8001"}.
        scrape_interval: how often to scrape and to evaluate the rules, as Prometheus writes durations.
        rules: the rule files; `capstone_utils.monitoring.prometheus.rules.faster` makes one for a demonstration.
        alertmanager: "host:port" of the Alertmanager that alerts go to; empty for none.

    Raises:
        ProgramNotFound: when there is none to run.
        PrometheusError: when the port is taken, or when it refuses its configuration, dies or is not ready in time.
        ValueError: for an unknown job, or for rules too short for the interval.
    """
    content = scrape_configuration(targets, rules, scrape_interval, alertmanager)
    configuration = yaml.safe_dump(content, sort_keys=False)
    with Prometheus.start_lock(settings):
        running = Prometheus.find(settings)
        prometheus = running or Prometheus.at_free_port(settings)
        configuration_file = prometheus.directory / "prometheus.yml"
        write_text(configuration_file, configuration)
        if running:
            running.reload()
            return running
        prometheus.launch(
            [
                str(find_program(PROMETHEUS, settings.cache_dir)),
                f"--config.file={configuration_file}",
                f"--storage.tsdb.path={prometheus.directory / 'data'}",
                f"--web.listen-address={settings.host}:{prometheus.port}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ]
        )
        return prometheus
