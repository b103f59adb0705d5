"""Spark's two ways to compute the features of all arrivals, for `benchmarks.parity`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.spark.batch import batch_features
from capstone_utils.features.spark.enriched_topic import SOURCE, read_enriched_topic
from capstone_utils.features.spark.session import open_spark
from capstone_utils.features.spark.stream import StreamJob, start_stream
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import create_topics
from capstone_utils.settings import Settings

DEADLINE_SECONDS = 3_600
Daily = Mapping[str, DailyTable]


def spark_batch(arrivals: pd.DataFrame, daily: Daily) -> pd.DataFrame:
    """Each arrival's features and a mark for duplicates, by Spark's batch."""
    with tempfile.TemporaryDirectory() as name:
        history, features = str(Path(name, "arrivals.parquet")), str(Path(name, "features"))
        arrivals.assign(arrival=range(len(arrivals))).to_parquet(history)
        with open_spark(Path(name, "spark"), Settings.from_environment().cache_dir) as spark:
            batch_features(spark.read.parquet(history), ["arrival"], SPEC, daily).write.parquet(features)
        return pd.read_parquet(features).set_index("arrival").sort_index().set_axis(arrivals.index)


def spark_stream(arrivals: pd.DataFrame, daily: Daily) -> pd.DataFrame:
    """The same by Spark's stream from Kafka to Kafka."""
    cache_dir = Settings.from_environment().cache_dir
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(kafka_port=0, work_dir=Path(name), cache_dir=cache_dir)
        with start_broker(settings) as broker:
            job = StreamJob(broker.bootstrap_servers, str(Path(name, "checkpoint")))
            create_topics(broker.bootstrap_servers, {job.transactions_topic: settings.partitions})
            produce(broker.bootstrap_servers, job.transactions_topic, transactions_of(arrivals))
            with open_spark(Path(name, "spark"), cache_dir) as spark:
                query = start_stream(spark, job, SPEC, daily, until_now=True)
                if not query.awaitTermination(DEADLINE_SECONDS):
                    raise TimeoutError(f"Spark did not read the topic within {DEADLINE_SECONDS} s")
            enriched = read_enriched_topic(broker.bootstrap_servers, job.enriched_topic)
    return _by_arrival(enriched, arrivals)


def _by_arrival(enriched: pd.DataFrame, arrivals: pd.DataFrame) -> pd.DataFrame:
    """The enriched messages in the order of arrival; an arrival without one was a duplicate.

    A user's arrivals lie on one partition, and a partition's offsets count its arrivals.
    """
    user_of = arrivals.drop_duplicates("transaction_id").set_index("transaction_id")["user_id"]
    users = user_of.loc[enriched["transaction_id"]].to_numpy()
    partition_of = pd.Series(enriched.index.get_level_values(0), users).groupby(level=0).first()
    partition = arrivals["user_id"].map(partition_of)
    offset = partition.groupby(partition).cumcount()
    frame = enriched.reindex(pd.MultiIndex.from_arrays([partition, offset], names=SOURCE)).set_axis(arrivals.index)
    present = frame["transaction_id"].notna()
    if not (frame["transaction_id"] == arrivals["transaction_id"])[present].all() or present.sum() < len(enriched):
        raise ValueError("the enriched messages are not those of the arrivals, one by one")
    return frame.assign(duplicate=~present)
