"""Notebook 2's transactions on Spark, in batch and stream, if it runs."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from capstone_utils.course.work_directory import claim_topic
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.spark.enriched_topic import read_enriched_topic
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.broker.java import JavaNotFound
from capstone_utils.ingestion.broker.maven import JarError
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import recreate_topic
from capstone_utils.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TOPIC = "transactions.spark"
STREAM_SECONDS = 120


def on_spark(
    broker: Broker, settings: Settings, transactions: pd.DataFrame, daily: Mapping[str, DailyTable]
) -> dict[str, pd.DataFrame]:
    """The features by transaction_id, by Spark in "batch" and in "stream".

    Where Spark cannot run, the reason is printed, and the dictionary is empty.
    """
    if importlib.util.find_spec("pyspark") is None:
        print("pyspark is not installed here (Colab has it; it takes 470 MB), so nothing runs on Spark in this section")
        return {}
    from capstone_utils.features.spark.session import SparkError, open_spark

    claim_topic(settings, TOPIC)
    folder = settings.work_dir / "spark"
    shutil.rmtree(folder, ignore_errors=True)  # an earlier run's checkpoint belongs to topics that are made afresh
    began = time.monotonic()
    try:
        with open_spark(folder, settings.cache_dir) as spark:
            print(f"Spark {spark.version} has started after {time.monotonic() - began:.0f} s")
            return {
                "batch": _batch(spark, folder, transactions, daily),
                "stream": _stream(spark, folder, broker, transactions, daily),
            }
    except (JavaNotFound, JarError, SparkError) as reason:
        print(f"{reason}\nSo nothing runs on Spark in this section.")
        return {}


def _batch(
    spark: SparkSession, folder: Path, transactions: pd.DataFrame, daily: Mapping[str, DailyTable]
) -> pd.DataFrame:
    from capstone_utils.features.spark.batch import batch_features

    began = time.monotonic()
    transactions.assign(sequence=range(len(transactions))).to_parquet(folder / "transactions.parquet")
    history = spark.read.parquet(str(folder / "transactions.parquet"))
    batch_features(history, ["sequence"], SPEC, daily).write.parquet(str(folder / "features"))
    features = pd.read_parquet(folder / "features")
    print(f"batch: {len(features):,} payments, parquet to parquet, in {time.monotonic() - began:.0f} s")
    return features.set_index("transaction_id")


def _stream(
    spark: SparkSession, folder: Path, broker: Broker, transactions: pd.DataFrame, daily: Mapping[str, DailyTable]
) -> pd.DataFrame:
    from capstone_utils.features.spark.stream import StreamJob, start_stream

    servers = broker.bootstrap_servers
    job = StreamJob(servers, str(folder / "checkpoint"), TOPIC, f"{TOPIC}.enriched", f"{TOPIC}.dead-letter")
    for topic in (job.transactions_topic, job.enriched_topic):
        recreate_topic(servers, topic, broker.settings.partitions)
    produce(servers, TOPIC, transactions_of(transactions))
    began = time.monotonic()
    query = start_stream(spark, job, SPEC, daily, until_now=True)
    if not query.awaitTermination(STREAM_SECONDS):
        query.stop()
        raise TimeoutError(f"Spark had not read {TOPIC} to its end after {STREAM_SECONDS} s")
    features = read_enriched_topic(servers, job.enriched_topic)
    print(f"stream: {len(features):,} payments, Kafka to Kafka, in {time.monotonic() - began:.0f} s")
    return features.set_index("transaction_id")
