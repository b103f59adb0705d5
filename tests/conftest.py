"""Servers that many tests share, each started once a run on a free port; and waiting for what must come true."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capstone_utils.ingestion.broker.broker import Broker, start_broker
from capstone_utils.ingestion.streaming.topics import create_topics
from capstone_utils.settings import Settings

# Fixtures that start a server, or hand out settings to start one with.
SERVERS = {"broker", "fresh", "own_settings", "prometheus", "service", "spark", "system", "till"}

# A shell's background job ignores Ctrl-C, and so would every child that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark with `server` each test that one of SERVERS serves, and each of tests/faults."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())) or "faults" in item.path.parts:
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Kafka broker; `broker.settings` has its port. Tests share it, so each names its own topics."""
    settings = Settings(
        kafka_port=0, work_dir=tmp_path_factory.mktemp("broker"), cache_dir=Settings.from_environment().cache_dir
    )
    with start_broker(settings) as running:
        yield running


@pytest.fixture
def topic(broker: Broker) -> str:
    """An empty topic of four partitions, for one test alone."""
    name = f"topic-{uuid.uuid4().hex}"
    create_topics(broker.bootstrap_servers, {name: 4})
    return name


@pytest.fixture
def fresh(tmp_path: Path) -> Settings:
    """Settings of a test that starts servers of its own: free ports, an empty directory, the machine's cache."""
    cache = Settings.from_environment().cache_dir
    return Settings(kafka_port=0, api_port=0, metrics_port=0, prometheus_port=0, work_dir=tmp_path, cache_dir=cache)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """A function that waits for a condition, and fails when it has not come true in time."""

    def wait(condition: Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.02)

    return wait
