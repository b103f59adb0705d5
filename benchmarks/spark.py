"""The cost of features on Spark, in batch and in stream, against one process.

Spark has two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from benchmarks.kept import keep
from capstone_utils.course.results import Figure
from capstone_utils.features.daily_tables import DailyTable, daily_tables
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spark.batch import batch_features
from capstone_utils.features.spark.enriched_topic import enriched_message
from capstone_utils.features.spark.session import open_spark
from capstone_utils.features.spark.stream import StreamJob, start_stream
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.arrivals import arrive
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import TransactionReader
from capstone_utils.ingestion.streaming.topics import create_topics
from capstone_utils.settings import Settings

KEPT = "scaling"
SMALL = 5_000  # payments in a small micro-batch
TINY = 20
TINY_BATCHES = 12
DEADLINE_SECONDS = 600


class MicroBatch(NamedTuple):
    """The seconds of a micro-batch, and the number of its customers."""

    seconds: float
    customers: int


@dataclass
class Bench:
    """The parts of every measurement: payments as file and topic, and a Spark session.

    The payments are in order of arrival.
    """

    spark: SparkSession
    bootstrap_servers: str
    folder: Path
    payments: pd.DataFrame
    daily: Mapping[str, DailyTable]

    def __post_init__(self) -> None:
        self.parquet, self.transactions = self.folder / "payments.parquet", list(transactions_of(self.payments))
        self._numbers = count()
        self.payments.assign(sequence=np.arange(len(self.payments))).to_parquet(self.parquet)
        create_topics(self.bootstrap_servers, {"payments": 4, "tiny": 4, "enriched": 4})
        produce(self.bootstrap_servers, "payments", self.transactions)
        produce(self.bootstrap_servers, "tiny", self.transactions[: TINY * TINY_BATCHES])

    def online(self) -> None:
        """The update alone: transactions in memory to features in memory."""
        online = OnlineFeatures(SPEC, self.daily)
        for transaction in self.transactions:
            online.update(transaction)

    def process_batch(self) -> None:
        """Parquet to parquet in one process."""
        online = OnlineFeatures(SPEC, self.daily)
        frame = pd.read_parquet(self.parquet)
        rows = [online.update(transaction) or (np.nan,) * len(SPEC.names) for transaction in transactions_of(frame)]
        pd.DataFrame(np.array(rows), columns=SPEC.names).to_parquet(self.folder / "features.parquet")

    def spark_batch(self) -> None:
        """Parquet to parquet on Spark."""
        features = batch_features(self.spark.read.parquet(str(self.parquet)), ["sequence"], SPEC, self.daily)
        features.write.mode("overwrite").parquet(str(self.folder / "features"))

    def process_stream(self) -> None:
        """Kafka to Kafka in one process."""
        online, group = OnlineFeatures(SPEC, self.daily), f"process-{next(self._numbers)}"
        with (
            TransactionReader(self.bootstrap_servers, "payments", group) as reader,
            Producer(self.bootstrap_servers) as producer,
        ):
            for batch in reader.batches(len(self.transactions), DEADLINE_SECONDS):
                for received in batch:
                    features = online.update(received.transaction)
                    if features is not None:
                        source = received.partition, received.offset
                        message = enriched_message(received.transaction, features, SPEC, *source)
                        producer.send("enriched", message, key=received.transaction.key)
                producer.flush()

    def spark_stream(self, topic: str, batch_messages: int) -> list[MicroBatch]:
        """Kafka to Kafka on Spark; returns its micro-batches."""
        checkpoint = str(self.folder / f"checkpoint-{next(self._numbers)}")
        job = StreamJob(self.bootstrap_servers, checkpoint, topic, "enriched", batch_messages=batch_messages)
        query = start_stream(self.spark, job, SPEC, self.daily, until_now=True)
        if not query.awaitTermination(DEADLINE_SECONDS):
            raise TimeoutError(f"{topic} was not read within {DEADLINE_SECONDS} s")
        return [
            MicroBatch(done["durationMs"]["triggerExecution"] / 1000, done["stateOperators"][0]["numRowsUpdated"])
            for done in query.recentProgress
        ]


WORK: dict[str, tuple[str, Callable[[Bench], list[MicroBatch] | None]]] = {
    "online": ("one process, in memory", Bench.online),
    "process_batch": ("one process, parquet to parquet", Bench.process_batch),
    "spark_batch": ("Spark, parquet to parquet", Bench.spark_batch),
    "process_stream": ("one process, Kafka to Kafka", Bench.process_stream),
    "spark_stream": ("Spark, Kafka to Kafka, one micro-batch", lambda bench: bench.spark_stream("payments", 10**9)),
    "spark_stream_small": (
        f"Spark, Kafka to Kafka, micro-batches of {SMALL:,}",
        lambda bench: bench.spark_stream("payments", SMALL),
    ),
}


@contextmanager
def opened(payments: int) -> Iterator[Bench]:
    """Spark with two cores, a broker and the first payments of the course's stream, some of them late or twice."""
    stream = simulate(SimulatorConfig(seed=7, customers=2000, days=64))
    daily = daily_tables(stream.transactions, stream.labels)
    arrived = arrive(stream.transactions.head(payments), 0.02, 0.01, 3600, seed=1)
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(kafka_port=0, work_dir=Path(name), cache_dir=Settings.from_environment().cache_dir)
        with start_broker(settings) as broker, open_spark(Path(name, "spark"), settings.cache_dir) as spark:
            yield Bench(spark, broker.bootstrap_servers, Path(name), arrived, daily)


def measure(bench: Bench, runs: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each work in each run, and the customers of all its micro-batches.

    The works take turns; a first run is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in WORK}
    customers = {}
    for run in range(runs + 1):
        for name, (_, work) in WORK.items():
            began = time.perf_counter()
            batches = work(bench)
            if run:
                seconds[name].append(time.perf_counter() - began)
            customers[name] = sum(batch.customers for batch in batches or [])
    return seconds, customers


def figures(
    payments: int, seconds: Mapping[str, list[float]], customers: Mapping[str, int], tiny_seconds: float
) -> dict[str, Figure]:
    """The figures of docs/scaling.md by name: medians over the runs, and of ratios of two works within a run."""

    def ratio(work: str, other: str) -> Figure:
        return Figure(median(a / b for a, b in zip(seconds[work], seconds[other], strict=True)), "times")

    by_name = {"payments": Figure(payments), "runs": Figure(len(seconds["online"]))}
    for name, run_seconds in seconds.items():
        by_name[name] = Figure(payments / median(run_seconds), "a second")
        by_name[f"{name}_us"] = Figure(1e6 * median(run_seconds) / payments, "µs")
    by_name["batch_ratio"] = ratio("spark_batch", "process_batch")
    by_name["stream_ratio"] = ratio("spark_stream", "process_stream")
    by_name["stream_small_ratio"] = ratio("spark_stream_small", "process_stream")
    by_name["billion_hours"] = Figure(1e9 * median(seconds["process_batch"]) / payments / 3600, "hours")
    more = customers["spark_stream_small"] - customers["spark_stream"]
    slower = [small - one for small, one in zip(seconds["spark_stream_small"], seconds["spark_stream"], strict=True)]
    by_name["customer_ms"] = Figure(1000 * median(slower) / more, "ms")
    by_name["micro_batch_ms"] = Figure(1000 * tiny_seconds, "ms")
    return {f"scaling_{name}": figure for name, figure in by_name.items()}


def main() -> None:
    """Print a line per work; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--payments", type=int, default=100_000, help=f"at least {4 * SMALL:,} (default: 100,000)")
    parser.add_argument("--runs", type=int, default=3, help="of each work (default: 3)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which docs/scaling.md quotes")
    options = parser.parse_args()
    if options.payments < 4 * SMALL or options.runs < 1:
        parser.error(f"--payments={options.payments} --runs={options.runs}: at least {4 * SMALL:,} and 1")
    with opened(options.payments) as bench:
        payments, (seconds, customers) = len(bench.transactions), measure(bench, options.runs)
        tiny = [batch.seconds for batch in bench.spark_stream("tiny", TINY)]
        results = figures(payments, seconds, customers, median(tiny[2:]))
    print(f"{payments:,} payments, {options.runs} runs{'':26}{'a second: median':>18}{'slowest':>10}{'fastest':>10}")
    for name, (title, _) in WORK.items():
        median_rate, slowest, fastest = (payments / take(seconds[name]) for take in (median, max, min))
        print(f"{title:50}{median_rate:18,.0f}{slowest:10,.0f}{fastest:10,.0f}")
    for name in ("batch_ratio", "stream_ratio", "stream_small_ratio", "customer_ms", "micro_batch_ms"):
        print(f"{name:50}{results[f'scaling_{name}'].text:>18}")
    if options.keep:
        keep(KEPT, results)
    if options.json:
        print(json.dumps({name.removeprefix("scaling_"): figure.value for name, figure in results.items()}))


if __name__ == "__main__":
    main()
