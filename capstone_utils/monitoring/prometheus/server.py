"""A real Prometheus on this machine: docker's configuration and rules, started as a child, ready when this returns."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import httpx
import yaml

from capstone_utils.monitoring.prometheus.binary import find_prometheus
from capstone_utils.monitoring.prometheus.client import ASK_SECONDS, PrometheusClient, PrometheusError
from capstone_utils.monitoring.prometheus.rules import ALERTS, scrape_configuration
from capstone_utils.process import Child, alive, bind
from capstone_utils.settings import Settings

START_SECONDS = 30.0

_children: dict[Path, Child] = {}  # what this process started, by data directory


class Prometheus(PrometheusClient):
    """A running Prometheus; its `with` block stops it if this handle started it, `stop()` if this process did."""

    def __init__(self, settings: Settings, started: bool) -> None:
        super().__init__(f"http://{settings.host}:{settings.prometheus_port}")
        self.settings = settings  # prometheus_port is the one it listens on, also when a free one was asked for
        self.started = started  # False: it was running already and was found

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.settings.prometheus_port

    def running(self) -> bool:
        """Whether it answers, as the Prometheus of this data directory."""
        return _is_ours(self.settings, self.port)

    def stop(self) -> None:
        """End it in order, if this process started it; what it has recorded stays on disk."""
        child = _children.pop(prometheus_dir(self.settings), None)
        if child is not None:
            child.stop()

    def __enter__(self) -> Prometheus:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.started:
            self.stop()


def prometheus_dir(settings: Settings) -> Path:
    """Where the Prometheus of these settings keeps its data, configuration and log."""
    return settings.work_dir / "prometheus"


def start_prometheus(
    settings: Settings, targets: Mapping[str, str], scrape_interval: str = "5s", rules: Path = ALERTS
) -> Prometheus:
    """The Prometheus of `settings.work_dir`, ready for questions: the one already running, else one started now.

    One that was running already scrapes `targets` and follows `rules` from now on, in place of what it had.

    Args:
        settings: `prometheus_port` (0: any free one), `work_dir`, and `cache_dir` for the binary.
        targets: "host:port" by job of config/prometheus.yml: {"fastapi_metrics": "127.0.0.1:8001"}.
        scrape_interval: how often to scrape and to evaluate the rules, as Prometheus writes durations.
        rules: the rule file; `capstone_utils.monitoring.prometheus.rules.faster` makes one for a demonstration.

    Raises:
        PrometheusNotFound: when there is none to run.
        PrometheusError: when the port is taken, or when it refuses its configuration, dies or is not ready in time.
        ValueError: for an unknown job, or for rules too short for the interval.
    """
    directory = prometheus_dir(settings)
    configuration = scrape_configuration(targets, rules, scrape_interval)
    directory.mkdir(parents=True, exist_ok=True)
    found = _running_port(settings)
    port = found or _usable_port(settings)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration, sort_keys=False))
    settings = replace(settings, prometheus_port=port)
    if found:
        _reload(settings)
        return Prometheus(settings, started=False)
    command = [
        str(find_prometheus(settings)),
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={settings.host}:{port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    log = directory / "prometheus.log"
    log.unlink(missing_ok=True)
    (directory / "state.json").write_text(json.dumps({"owner_pid": os.getpid(), "port": port}))
    _children[directory] = Child(command, log)
    prometheus = Prometheus(settings, started=True)
    try:
        _wait_until_ready(prometheus, _children[directory])
    except BaseException:  # an interrupted start, too, leaves nothing running
        prometheus.stop()
        raise
    return prometheus


def _wait_until_ready(prometheus: Prometheus, child: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not prometheus.ready():
        if not child.running() or time.monotonic() > deadline:
            what = f"was not ready after {START_SECONDS:.0f} s" if child.running() else "ended while starting"
            raise PrometheusError(f"Prometheus {what}; the end of {child.log}:\n{child.tail()}")
        time.sleep(0.05)


def _reload(settings: Settings) -> None:
    """Make it read its configuration again; the answer says only that it failed, the log says why."""
    log = prometheus_dir(settings) / "prometheus.log"
    read = log.stat().st_size
    response = httpx.post(f"http://{settings.host}:{settings.prometheus_port}/-/reload", timeout=ASK_SECONDS)
    if not response.is_success:
        words = log.read_bytes()[read:].decode(errors="replace")
        raise PrometheusError(f"Prometheus keeps its earlier configuration, for it refused this one:\n{words}")


def _running_port(settings: Settings) -> int | None:
    """The port of the Prometheus that runs on this data directory; None when there is none (any more).

    One whose owner has ended is about to stop, and is waited for.
    """
    state_file = prometheus_dir(settings) / "state.json"
    if not state_file.exists():
        return None
    state: dict[str, int] = json.loads(state_file.read_text())
    deadline = time.monotonic() + START_SECONDS
    while _is_ours(settings, state["port"]):
        if alive(state["owner_pid"]):
            return state["port"]
        if time.monotonic() > deadline:
            raise PrometheusError(
                f"a Prometheus whose owner has ended still runs on port {state['port']}; end that process, "
                "or set CAPSTONE_WORK_DIR to another directory"
            )
        time.sleep(0.1)
    return None


def _is_ours(settings: Settings, port: int) -> bool:
    """Whether what listens on this port is a Prometheus on this data directory."""
    url = f"http://{settings.host}:{port}/api/v1/status/flags"
    try:
        response = httpx.get(url, timeout=ASK_SECONDS)
        flags = response.json()["data"]
        return bool(flags["storage.tsdb.path"] == str(prometheus_dir(settings) / "data"))
    except (httpx.HTTPError, ValueError, TypeError, KeyError):  # nothing there, or something else
        return False


def _usable_port(settings: Settings) -> int:
    try:
        with bind(settings.host, settings.prometheus_port) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise PrometheusError(
            f"CAPSTONE_PROMETHEUS_PORT={settings.prometheus_port} cannot be listened on at {settings.host} "
            f"({error.strerror}): another program holds it. Stop that program, or set CAPSTONE_PROMETHEUS_PORT to "
            "another port (0: any free one)."
        ) from None
