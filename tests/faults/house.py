"""Topics, workers as processes, and the audit that ends every fault test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Producer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from capstone_utils.features.daily_tables import read_daily
from capstone_utils.ingestion.streaming.clients import open_admin
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.topics import create_topics, end_offsets
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.worker.audit import Audit, audit
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import Transaction

DYING = Path(__file__).with_name("dying_worker.py")
MANY = 1_000  # messages: too many to be marks of transactions
STEPS = ("poll", "features", "produce", "offsets", "commit")  # of a batch
DEEP = b'{"a":' * 1010 + b"1" + b"}" * 1010
POISON = [  # key, value
    (b"7", b'{"broken": '),
    (None, b'{"transaction_id": 1}'),
    (b"7", None),
    (b"7", b'{"transaction_id": 1, "user_id": 7, "amount": NaN}'),
    (b"7", b'{"schema_version": 9, "transaction_id": 1}'),
    (b"7", DEEP),
    (b"7", b'{"amount": ' + DEEP + b"}"),
    (b"7", b"\xff\xfe\x00"),
    (b"7", b'"' + b"x" * 5_000_000 + b'"'),
    (None, None),
]


class House:
    """Settings with topics of their own, in a work directory with models."""

    def __init__(self, base: Settings, work_dir: Path, state_dir: Path, partitions: int = 4) -> None:
        name = uuid.uuid4().hex
        self.settings = replace(
            base,
            work_dir=work_dir,
            state_dir=state_dir / "state",
            transactions_topic=f"payments-{name}",
            scores_topic=f"scores-{name}",
            dead_letter_topic=f"dead-{name}",
            worker_group=f"workers-{name}",
            worker_metrics_port=0,
            api_port=0,
            metrics_port=0,
        )
        classifier = Classifier(ModelRegistry(self.settings.models_dir).load())
        self.classifiers = {classifier.version: classifier}
        self.log = state_dir / "workers.log"
        create_topics(base.bootstrap_servers, {self.settings.transactions_topic: partitions})

    def with_(self, **changes: object) -> Settings:
        """The settings of another worker of this house."""
        return replace(self.settings, **changes)  # type: ignore[arg-type]

    def send(self, payments: Iterable[Transaction], rate_per_second: float | None = None) -> None:
        """Payments into the topic; at a rate, where there is one."""
        with contextlib.closing(self._producer()) as producer:
            began = time.monotonic()
            for number, payment in enumerate(payments):
                if rate_per_second:
                    time.sleep(max(began + number / rate_per_second - time.monotonic(), 0))
                producer.send(self.settings.transactions_topic, payment.to_json(), payment.key)
            producer.flush(60)

    def poison(self) -> None:
        """Messages that are no payments, each on a partition of its own choice."""
        producer = Producer({"bootstrap.servers": self.settings.bootstrap_servers, "message.max.bytes": 2**24})
        for number, (key, value) in enumerate(POISON):  # kafka-python would not send all of them
            producer.produce(self.settings.transactions_topic, value, key, number % 4, headers=[("trace", None)])
        assert producer.flush(60) == 0

    def _producer(self) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self.settings.bootstrap_servers,
            acks="all",
            linger_ms=20,
            max_request_size=16 * 2**20,
            delivery_timeout_ms=120_000,
        )

    @contextlib.contextmanager
    def worker(
        self, settings: Settings | None = None, *dying: str, environment: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A worker as a process, sound or dying at a step; killed at the end, if it still runs."""
        command = (
            [sys.executable, str(DYING), *dying]
            if dying
            else [sys.executable, "-m", "capstone_utils.serving.worker.main"]
        )
        own = (settings or self.settings).to_environment() | (environment or {})
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | own, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def behind(self) -> int:
        """The number of messages that the group has not committed yet."""
        topic, where = self.settings.transactions_topic, self.settings.bootstrap_servers
        with KafkaConsumer(bootstrap_servers=where, group_id=self.settings.worker_group) as reader:
            return sum(
                end - (reader.committed(TopicPartition(topic, partition)) or 0)
                for partition, end in self.ends().items()
            )

    def unread(self) -> int:
        """The number of committed messages behind what the group has committed."""
        topic, where = self.settings.transactions_topic, self.settings.bootstrap_servers
        with KafkaConsumer(bootstrap_servers=where, group_id=self.settings.worker_group) as reader:
            starts = {each: reader.committed(TopicPartition(topic, each)) or 0 for each in self.ends()}
        return sum(1 for each, start in starts.items() for _ in read_partition(where, topic, each, start))

    def members(self) -> int:
        """The number of the group's members, as the broker sees it."""
        with open_admin(self.settings.bootstrap_servers) as admin:
            return len(admin.describe_groups([self.settings.worker_group])[self.settings.worker_group]["members"])

    def started(self) -> int:
        """The number of workers that have come as far as to work."""
        return self.logged().count("Ctrl-C stops")

    def logged(self) -> str:
        """The workers' log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def ends(self) -> dict[int, int]:
        """The offset that comes next in each partition of the payments."""
        return end_offsets(self.settings.bootstrap_servers, self.settings.transactions_topic)

    def wait(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until it holds; fail with what the workers logged when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.logged()[-3000:]
            time.sleep(0.1)

    def wait_until_done(self, seconds: float = 120.0) -> None:
        """Wait until the group has committed everything; the marks of transactions in the log are no messages."""
        self.wait(lambda: self.behind() == 0 or (self.behind() < MANY and self.unread() == 0), seconds)

    def finish(self) -> Audit:
        """The audit, after a sound worker has done the rest and has stopped in order."""
        started = self.started()
        with self.worker() as process:
            self.wait_until_done()
            self.wait(lambda: self.started() > started)
            process.terminate()
            assert process.wait(60) == 0, self.logged()[-3000:]
        return self.settled_audit()

    def settled_audit(self) -> Audit:
        """The audit once no open transaction, as of a worker that was fenced, can hold scores back any more."""
        deadline = time.monotonic() + 40  # a transaction is aborted by the broker after 30 s
        while (found := self.audit()).lost and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def audit(self) -> Audit:
        """The audit as of now."""
        return audit(self.settings, self.classifiers, read_daily(self.settings.daily_tables))
