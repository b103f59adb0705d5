"""The Spark job for spark-submit; docs/scaling.md has the whole command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from capstone_utils.features.daily_tables import DailyTable, read_daily
from capstone_utils.features.spark.batch import batch_features
from capstone_utils.features.spark.stream import StreamJob, start_stream


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the batch, or the stream, to its end.

    The stream ends when it is stopped, or with --until-now at the end of the topic.
    """
    options = _parser().parse_args(arguments)
    tables = read_daily(options.daily) if options.daily else {}
    options.run(SparkSession.builder.appName(f"features {options.work}").getOrCreate(), options, tables)


def _batch(spark: SparkSession, options: argparse.Namespace, daily: dict[str, DailyTable]) -> None:
    history = spark.read.parquet(options.transactions)
    batch_features(history, options.order.split(","), daily=daily).write.mode("overwrite").parquet(options.features)


def _stream(spark: SparkSession, options: argparse.Namespace, daily: dict[str, DailyTable]) -> None:
    job = StreamJob(
        options.bootstrap_servers,
        options.checkpoint,
        options.transactions_topic,
        options.enriched_topic,
        options.dead_letter_topic,
        options.batch_messages,
    )
    start_stream(spark, job, daily=daily, until_now=options.until_now).awaitTermination()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    works = parser.add_subparsers(dest="work", required=True)
    batch = works.add_parser("batch", help="parquet of transactions to parquet of features")
    batch.set_defaults(run=_batch)
    batch.add_argument("transactions", help="parquet with the columns of a transaction, in integer units")
    batch.add_argument("features", help="where the features go; what is there is replaced")
    batch.add_argument("--order", default="partition,offset", help="columns that give the order of arrival")
    stream = works.add_parser("stream", help="Kafka to Kafka")
    stream.set_defaults(run=_stream)
    stream.add_argument("bootstrap_servers")
    stream.add_argument("checkpoint", help="directory that outlives the machine, this job's alone")
    stream.add_argument("--transactions-topic", default=StreamJob.transactions_topic)
    stream.add_argument("--enriched-topic", default=StreamJob.enriched_topic)
    stream.add_argument("--dead-letter-topic", default=StreamJob.dead_letter_topic)
    stream.add_argument("--batch-messages", type=int, default=StreamJob.batch_messages, help="of one micro-batch")
    stream.add_argument("--until-now", action="store_true", help="end when what is in the topic now has been read")
    for work in (batch, stream):
        work.add_argument("--daily", type=Path, help="batch tables, a file that write_daily wrote")
    return parser


if __name__ == "__main__":
    main()
