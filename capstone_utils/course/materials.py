"""Materials from an earlier notebook for a later one; made when missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache

import pandas as pd

from capstone_utils.course.work_directory import claim_topic
from capstone_utils.features.daily_tables import daily_tables, write_daily
from capstone_utils.features.enriched import enrich, read_enriched, write_enriched
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import TransactionReader
from capstone_utils.ingestion.streaming.topics import TopicError, end_offsets, recreate_topic
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel, Models
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.serving.training.train import train_models
from capstone_utils.settings import Settings
from capstone_utils.transaction import Transaction

COURSE = SimulatorConfig(seed=7, customers=2000, days=64)
LIVE_SECONDS = 20  # notebook 1 sends so long in real time
READ_SECONDS = 60.0  # none may come for so long before reading the topic is given up


@cache
def course_stream() -> Simulation:
    """The stream of the course, the same in every notebook and everywhere."""
    return simulate(COURSE)


def ensure_stream(broker: Broker, settings: Settings, stream: Simulation) -> int:
    """Fill the topic `transactions` unless it is whole; return its message count."""
    expected = len(stream.transactions)
    try:
        present = sum(end_offsets(broker.bootstrap_servers, settings.transactions_topic).values())
    except TopicError:
        present = 0
    if present != expected:
        print(f"the topic holds {present:,} of {expected:,} payments, so this notebook fills it as notebook 1 would")
        claim_topic(broker.settings, settings.transactions_topic)
        recreate_topic(broker.bootstrap_servers, settings.transactions_topic, settings.partitions)
        produce(broker.bootstrap_servers, settings.transactions_topic, transactions_of(stream.transactions))
    return expected


def read_topic(broker: Broker, settings: Settings, messages: int) -> Iterator[Transaction]:
    """The topic's first `messages` transactions, as a new consumer group reads them.

    Raises:
        TimeoutError: when none comes for READ_SECONDS; the caller's own time between them does not count.
    """
    group = f"kitchen-{time.time_ns()}"
    where = broker.bootstrap_servers, settings.transactions_topic, group, settings.dead_letter_topic
    with TransactionReader(*where) as reader:
        while messages > 0:
            missing = messages
            for batch in reader.batches(messages, deadline_seconds=READ_SECONDS):
                messages -= len(batch)
                for received in batch:
                    yield received.transaction
            if messages == missing:
                raise TimeoutError(
                    f"{missing:,} payments of the topic {settings.transactions_topic} did not come within "
                    f"{READ_SECONDS:.0f} s; {settings.work_dir / 'kafka' / 'broker.log'} may say why"
                )


def ensure_enriched(settings: Settings, stream: Simulation) -> pd.DataFrame:
    """Notebook 2's enriched transactions from their file, made first if missing."""
    if not settings.enriched_csv.exists():
        print(f"{settings.enriched_csv.name} is not there, so this notebook makes it as notebook 2 would")
        daily = daily_tables(stream.transactions, stream.labels)
        features = offline_features(stream.transactions, SPEC, daily)
        write_enriched(enrich(stream.transactions, features, stream.labels), settings.enriched_csv)
        write_daily(daily, settings.daily_tables)
    return read_enriched(settings.enriched_csv)


def ensure_models(settings: Settings, enriched: pd.DataFrame) -> Models:
    """The champion that notebook 3 published, or one trained as notebook 3 would."""
    registry = ModelRegistry(settings.models_dir)
    try:
        return registry.load()
    except InvalidModel as reason:
        print(f"{reason}; so this notebook trains one as notebook 3 would")
    registry.publish(train_models(split_by_time(enriched)))
    return registry.load()
