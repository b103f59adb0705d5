"""What the fault tests share: a broker's process, a disk that is full, and a house of topics, models and workers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from capstone_utils.features.daily_tables import daily_tables, write_daily
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.arrivals import arrive
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.settings import Settings
from capstone_utils.transaction import Transaction
from tests.faults.house import House
from tests.serving.small_model import small_model


@pytest.fixture
def broker_processes() -> Callable[[Settings], list[psutil.Process]]:
    """A function: the Java processes that run in the directory of these settings' broker."""

    def find(settings: Settings) -> list[psutil.Process]:
        found = psutil.process_iter(["name", "cwd"])
        return [each for each in found if each.info == {"name": "java", "cwd": str(Broker.directory_in(settings))}]

    return find


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, which root can mount; other users skip the test."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a tiny disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory with models and batch tables, of a small stream's first days."""
    settings = Settings(work_dir=tmp_path_factory.mktemp("house"))
    past = simulate(SimulatorConfig(seed=3, customers=200, days=14))
    daily = daily_tables(past.transactions, past.labels)
    features = offline_features(past.transactions, SPEC, daily)
    fraud = (past.truth["scenario"] != "legitimate").to_numpy(float)
    found = [small_model(features, fraud, names) for names in (SPEC.names, BRIEF_FEATURES)]
    ModelRegistry(settings.models_dir).publish(Models(*found))
    write_daily(daily, settings.daily_tables)
    return settings.work_dir


@pytest.fixture(scope="session")
def arrivals() -> list[Transaction]:
    """Some thousand payments in order of arrival, some late, some twice."""
    stream = simulate(SimulatorConfig(seed=4, customers=200, days=14))
    return list(transactions_of(arrive(stream.transactions, 0.05, 0.05, 7200.0, seed=1)))


@pytest.fixture
def house(work_dir: Path, broker: Broker, tmp_path: Path) -> House:
    """A topic of one's own on the shared broker, and workers for it."""
    return House(broker.settings, work_dir, tmp_path)
