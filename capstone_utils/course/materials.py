"""What an earlier notebook leaves for a later one; made here, and said so, when it is not there."""

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
from capstone_utils.serving.model.store import InvalidModel, Models, load_models, save_models
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.serving.training.train import train_models
from capstone_utils.settings import Settings
from capstone_utils.transaction import Transaction

COURSE = SimulatorConfig(seed=7, customers=2000, days=64)
LIVE_SECONDS = 20  # how long notebook 1 sends in real time
READ_SECONDS = 60.0  # how long none may come before reading the topic is given up


@cache
def course_stream() -> Simulation:
    """The stream of the whole course: the same in every notebook and on every machine."""
    return simulate(COURSE)


def ensure_topic(broker: Broker, settings: Settings, stream: Simulation) -> int:
    """How many messages the topic `transactions` holds, after filling it if it does not hold the whole stream."""
    wanted = len(stream.transactions)
    try:
        found = sum(end_offsets(broker.bootstrap_servers, settings.transactions_topic).values())
    except TopicError:
        found = 0
    if found != wanted:
        print(f"the topic holds {found:,} of {wanted:,} payments, so this notebook fills it as notebook 1 would")
        claim_topic(broker.settings, settings.transactions_topic)
        recreate_topic(broker.bootstrap_servers, settings.transactions_topic, settings.partitions)
        produce(broker.bootstrap_servers, settings.transactions_topic, transactions_of(stream.transactions))
    return wanted


def read_topic(broker: Broker, settings: Settings, messages: int) -> Iterator[Transaction]:
    """So many transactions from the beginning of the topic, as a new consumer group reads them.

    Raises:
        TimeoutError: when the rest does not come.
    """
    group = f"kitchen-{time.time_ns()}"
    with TransactionReader(broker.bootstrap_servers, settings.transactions_topic, group) as reader:
        while messages > 0:
            before = messages
            for batch in reader.batches(messages, deadline_seconds=READ_SECONDS):
                messages -= len(batch)
                for received in batch:
                    yield received.transaction
            if messages == before:  # what the caller does with them takes time too, on a busy machine much
                raise TimeoutError(
                    f"{messages:,} payments of the topic {settings.transactions_topic} did not come within "
                    f"{READ_SECONDS:.0f} s; {settings.work_dir / 'kafka' / 'broker.log'} may say why"
                )


def ensure_enriched(settings: Settings, stream: Simulation) -> pd.DataFrame:
    """The enriched transactions of notebook 2, read from its file, or made as the file would hold them."""
    if not settings.enriched_csv.exists():
        print(f"{settings.enriched_csv.name} is not there, so this notebook makes it as notebook 2 would")
        daily = daily_tables(stream.transactions, stream.labels)
        features = offline_features(stream.transactions, SPEC, daily)
        write_enriched(enrich(stream.transactions, features, stream.labels), settings.enriched_csv)
        write_daily(daily, settings.daily_tables)
    return read_enriched(settings.enriched_csv)


def ensure_models(settings: Settings, enriched: pd.DataFrame) -> Models:
    """The models of notebook 3, from its directory, or trained as notebook 3 would."""
    try:
        return load_models(settings.model_dir)
    except InvalidModel as reason:
        print(f"{reason}; so this notebook trains one as notebook 3 would")
    split = split_by_time(enriched)
    save_models(train_models(split), settings.model_dir)
    return load_models(settings.model_dir)
