"""Spark's stream of features, from a real Kafka to a real Kafka, held against the naive oracle; killed and resumed."""

import math
import os
import re
import subprocess
import sys
import time
import uuid
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import orjson
import pandas as pd
import psutil
import pyspark
import pytest
from pyspark.errors import StreamingQueryException

from capstone_utils.features.daily_tables import write_daily
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spark.enriched_topic import InvalidEnrichedMessage, read_enriched_topic
from capstone_utils.features.spark.session import LOCK
from capstone_utils.features.spark.stream import Record, StreamJob, UpdateUser, start_stream
from capstone_utils.features.spec import BRIEF, SPEC, FeatureSpec, InvalidSpec, Window
from capstone_utils.ingestion.broker.maven import fetch_jars
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import TopicError, create_topics, end_offsets
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import MAX_TIME_US, Transaction
from tests.features.conftest import DAILY, START_US

DEADLINE_SECONDS = 120
BATCH_MESSAGES = 100
UNREADABLE = [  # key, value, headers, the beginning of what is wrong with it
    (b"7", b"{not json", [("trace", b"\xff")], b"message="),
    (None, b"of nobody", [], b"message="),
    (b"7", None, [], b"message=None"),
    (b"8", Transaction(1, 7, 500, START_US, "NY", "Amazon", "mobile").to_json(), [], b"key=b'8' is not the user's"),
    (b"7", b'{"transaction_id": 1}', [], b"user_id is missing"),
    (b"\xff\x00", b"\xff\xfe", [], b"message="),
    (
        b"7",
        Transaction(1, 7, 500, MAX_TIME_US, "NY", "Amazon", "mobile").to_json(),
        [],
        b"timestamp='2100-01-01T00:00:00",
    ),
]


@pytest.fixture(scope="module")
def topic(broker):
    """A topic of four partitions for this file."""
    name = f"topic-{uuid.uuid4().hex}"
    create_topics(broker.bootstrap_servers, {name: 4})
    return name


@pytest.fixture(scope="module")
def sent(broker, topic, log):
    """Where each row of the log lies in the topic, (partition, offset); unreadable messages lie between them."""
    with Producer(broker.bootstrap_servers) as producer:
        futures = []
        for place, transaction in enumerate(log):
            if place % 100 == 50:
                for key, value, headers, _ in UNREADABLE:
                    producer.send(topic, value, key=key, headers=headers)
            futures.append(producer.send(topic, transaction.to_json(), key=transaction.key))
        return [(future.get(30).partition, future.get(30).offset) for future in futures]


@pytest.fixture(scope="module")
def right(sent, expected):
    """The oracle's answers by source, without the duplicates, which it does not answer."""
    index = pd.MultiIndex.from_tuples(sent, names=("source_partition", "source_offset"))
    return expected.set_axis(index)[~expected["duplicate"].to_numpy()].sort_index()


def job_over(broker, topic, folder):
    """A job over the topic in many micro-batches, with a checkpoint and topics of its own."""
    own = f"{topic}.{uuid.uuid4().hex}"
    names = topic, f"{own}.enriched", f"{own}.dead-letter"
    return StreamJob(broker.bootstrap_servers, str(folder / "checkpoint"), *names, BATCH_MESSAGES)


def run(spark, job, spec=SPEC):
    query = start_stream(spark, job, spec, DAILY, until_now=True)
    assert query.awaitTermination(DEADLINE_SECONDS)
    return query


@pytest.fixture(scope="module")
def done(spark, broker, topic, sent, tmp_path_factory):
    """A job that has read the topic to its end."""
    job = job_over(broker, topic, tmp_path_factory.mktemp("done"))
    run(spark, job)
    return job


def test_every_feature_of_every_message_equals_the_naive_oracle(done, right, differing):
    batches = len(list(Path(done.checkpoint, "commits").glob("[0-9]*")))
    assert batches >= 600 // BATCH_MESSAGES  # so every user's state went through the store many times
    found = read_enriched_topic(done.bootstrap_servers, done.enriched_topic)
    assert found.index.tolist() == right.index.tolist()
    assert differing(found, right) == {}


def test_each_unreadable_message_becomes_one_dead_letter_and_is_left_as_it_was(done, topic):
    letters = list(read_topic(done.bootstrap_servers, done.dead_letter_topic))
    sources = [(r.partition, r.offset, r.key, r.value) for r in read_topic(done.bootstrap_servers, topic)]
    for key, value, headers, wrong in UNREADABLE:
        mine = [letter for letter in letters if (letter.key, letter.value) == (key, value)]
        assert len(mine) == 6
        for letter in mine:
            own, added = letter.headers[: len(headers)], dict(letter.headers[len(headers) :])
            assert list(own) == headers
            assert added["reason"].startswith(wrong)
            assert added["source_topic"] == topic.encode()
            assert (int(added["source_partition"]), int(added["source_offset"]), key, value) in sources
    assert len(letters) == 6 * len(UNREADABLE)


def test_an_enriched_message_carries_the_transaction_its_source_and_the_spec(done, log, sent):
    place = dict(zip(sent, log, strict=True))
    record = next(read_topic(done.bootstrap_servers, done.enriched_topic))
    message = orjson.loads(record.value)
    transaction = place[message["source_partition"], message["source_offset"]]
    assert record.key == transaction.key
    assert message.items() >= transaction.to_dict().items()
    assert message["spec"] == SPEC.hash
    with pytest.raises(InvalidEnrichedMessage, match=f"features of spec {SPEC.hash[:12]}, not of {BRIEF.hash[:12]}"):
        read_enriched_topic(done.bootstrap_servers, done.enriched_topic, BRIEF)


def test_a_topic_that_is_missing_is_named_before_anything_starts(spark, done):
    with pytest.raises(TopicError, match="there is no topic nowhere"):
        start_stream(spark, replace(done, transactions_topic="nowhere"))


def test_a_spec_with_windows_over_merchants_is_refused(spark, done):
    over_merchants = FeatureSpec((Window("busy", "count", "amount_cents", 60, key="merchant"),))
    with pytest.raises(InvalidSpec, match="busy: key='merchant', and Spark's job groups by user_id"):
        start_stream(spark, done, over_merchants)


def test_messages_that_spark_brings_in_another_order_are_taken_by_offset(log):
    """The operator alone, without Spark: the shuffle happens to keep the order on one machine."""
    user = max(log, key=lambda transaction: transaction.transaction_id).user_id
    mine = [transaction for transaction in log if transaction.user_id == user]
    key = b"%d" % user
    records = [Record(key, transaction.to_json(), -1, None, 2, 90 + place) for place, transaction in enumerate(mine)]
    frame = pd.DataFrame(records).sample(frac=1, random_state=1)
    assert not frame["offset"].is_monotonic_increasing
    update = UpdateUser(StreamJob("", ""), SPEC, SimpleNamespace(value=DAILY))
    state = SimpleNamespace(exists=False, update=lambda value: None)
    (answered,) = update((key,), iter([frame[:5], frame[5:]]), state)
    found = [orjson.loads(value) for value in answered["value"]]
    online = OnlineFeatures(SPEC, DAILY)
    right = [(90 + place, online.update(transaction)) for place, transaction in enumerate(mine)]
    right = [(offset, features) for offset, features in right if features is not None]
    assert [message["source_offset"] for message in found] == [offset for offset, _ in right]
    counts = [None if math.isnan(features[2]) else features[2] for _, features in right]
    assert [message["transaction_count"] for message in found] == counts


def test_a_state_of_another_spec_is_refused_and_not_taken_over(spark, broker, log, tmp_path):
    topic = f"topic-{uuid.uuid4().hex}"
    create_topics(broker.bootstrap_servers, {topic: 1})
    job = job_over(broker, topic, tmp_path)
    produce(broker.bootstrap_servers, topic, log[:40])
    run(spark, job)
    produce(broker.bootstrap_servers, topic, log[40:80])
    with pytest.raises(StreamingQueryException, match=f"is of the spec {SPEC.hash[:12]}.*rebuild the state"):
        run(spark, job, BRIEF)


def spark_submit(job, java, folder):
    """The command of docs/scaling.md, with this machine as its cluster, over the topics of the test."""
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^(spark-submit (?:.*\\\n)+.*job\.py stream .*)", text, re.MULTILINE)
    jars = fetch_jars(LOCK, Settings.from_environment().cache_dir)
    with zipfile.ZipFile(folder / "capstone_utils.zip", "w") as package:
        for source in (ROOT / "capstone_utils").rglob("*.py"):
            package.write(source, source.relative_to(ROOT))
    write_daily(DAILY, folder / "daily.npz")
    home = Path(pyspark.__file__).parent
    values = {
        "SPARK_HOME": str(home),
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "JAVA_HOME": str(java.resolve().parent.parent),
        "PYSPARK_PYTHON": sys.executable,
        "MASTER": "local[2]",
        "JARS": ",".join(map(str, jars)),
        "PACKAGE": str(folder / "capstone_utils.zip"),
        "PARTITIONS": "2",
        "KAFKA": job.bootstrap_servers,
        "CHECKPOINT": job.checkpoint,
        "DAILY": str(folder / "daily.npz"),
        "SPARK_LOCAL_DIRS": str(folder),  # what a killed Spark leaves behind lies here
        "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={folder}",
    }
    own = f"--transactions-topic {job.transactions_topic} --enriched-topic {job.enriched_topic}"
    own += f" --dead-letter-topic {job.dead_letter_topic} --batch-messages {job.batch_messages}"
    with (folder / "spark.log").open("wb") as log:
        return subprocess.Popen(
            ["bash", "-c", f"exec {command} {own}"], cwd=ROOT, env=os.environ | values, stdout=log, stderr=log
        )


def until(condition, what):
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s: {what()}"
        time.sleep(0.05)


def written(job):
    """How many messages the job has written."""
    try:
        return sum(end_offsets(job.bootstrap_servers, job.enriched_topic).values())
    except TopicError:
        return 0


def test_a_job_that_was_killed_goes_on_with_the_same_features(
    spark, spark_java, broker, topic, right, differing, tmp_path
):
    job = job_over(broker, topic, tmp_path)
    driver = spark_submit(job, spark_java, tmp_path)
    try:
        until(lambda: written(job) or driver.poll() is not None, (tmp_path / "spark.log").read_text)
        assert driver.poll() is None, (tmp_path / "spark.log").read_text()
        processes = [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)]
    finally:
        driver.kill()
        driver.wait()
    assert 0 < written(job) < len(right), (tmp_path / "spark.log").read_text()
    until(lambda: not psutil.wait_procs(processes, timeout=0)[1], lambda: f"{processes} have ended")

    run(spark, job)
    found = read_enriched_topic(job.bootstrap_servers, job.enriched_topic)
    assert found.index.tolist() == right.index.tolist()
    assert differing(found, right) == {}


def test_a_micro_batch_done_twice_is_written_twice_and_counted_once(spark, broker, topic, right, differing, tmp_path):
    """Spark writes to Kafka, then notes that the batch is done: here the note is lost."""
    job = replace(job_over(broker, topic, tmp_path), batch_messages=10_000)
    run(spark, job)
    once = written(job)
    for note in Path(job.checkpoint, "commits").glob("*0*"):  # and its checksum
        note.unlink()
    run(spark, job)
    copies = Counter(record.value for record in read_topic(job.bootstrap_servers, job.enriched_topic))
    assert once == len(copies) == len(right)
    assert set(copies.values()) == {2}  # equal byte for byte
    found = read_enriched_topic(job.bootstrap_servers, job.enriched_topic)
    assert found.index.tolist() == right.index.tolist()
    assert differing(found, right) == {}
