"""A house on paper whose metrics the tests steer, and a real Prometheus that scrapes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.toy_house import ToyHouse
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.monitoring.prometheus.rules import ALERTS, faster
from capstone_utils.monitoring.prometheus.server import Prometheus, start_prometheus
from capstone_utils.settings import Settings
from tests.monitoring.system import System, running_system

FACTOR = 30  # five minutes of the rules are ten seconds here
SCRAPE_INTERVAL = "500ms"


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyHouse]:
    """The house that `prometheus` scrapes."""
    with ToyHouse(tmp_path_factory.mktemp("gate")) as house:
        yield house


@pytest.fixture(scope="session")
def monitoring_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A free port and a directory of its own, with the machine's cache."""
    cache = Settings.from_environment().cache_dir
    return Settings(prometheus_port=0, work_dir=tmp_path_factory.mktemp("monitoring"), cache_dir=cache)


@pytest.fixture
def own_settings(monitoring_settings: Settings, tmp_path: Path) -> Settings:
    """The same with a directory of the test's own."""
    return replace(monitoring_settings, work_dir=tmp_path)


@pytest.fixture(scope="session")
def prometheus(toy: ToyHouse, monitoring_settings: Settings) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes the house twice a second and follows the alerts, FACTOR times as fast."""
    rules = faster(ALERTS, FACTOR, monitoring_settings.work_dir / "faster.yml")
    with start_prometheus(monitoring_settings, toy.targets, SCRAPE_INTERVAL, [rules]) as running:
        yield running


@pytest.fixture(scope="session")
def system(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A small bank that runs for real, with a Prometheus of its own."""
    with running_system(broker.settings, tmp_path_factory.mktemp("system")) as running:
        yield running
