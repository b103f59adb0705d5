"""Servers that many tests share: each starts once a run, on a free port, in a directory of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from capstone_utils.ingestion.broker import Broker, start_broker
from capstone_utils.settings import Settings


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Kafka broker; `broker.settings` has its port. Tests share it, so each names its own topics."""
    settings = Settings(
        kafka_port=0, work_dir=tmp_path_factory.mktemp("broker"), cache_dir=Settings.from_environment().cache_dir
    )
    with start_broker(settings) as running:
        yield running
