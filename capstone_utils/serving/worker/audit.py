"""Compare a topic's scores with those of an offline replay of the topic."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

import pandas as pd

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.streaming.partition_log import read_partition, read_topic
from capstone_utils.ingestion.streaming.topics import describe_topic
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.score import ScoreMessage
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction

Key = tuple[int, int]  # user_id, transaction_id


@dataclass(frozen=True)
class Audit:
    """An audit's findings. Each transaction that is no duplicate should have one score, equal to the last bit.

    `lost`, `twice`, `unequal` and `foreign` (a score of no transaction) hold keys (user_id, transaction_id);
    `unreadable` counts the records that should lie in the dead-letter topic, `dead_letters` those that do; `moved`
    counts those that lay on another partition than their user's, and were written again on that one.
    """

    transactions: int = 0
    duplicates: int = 0
    unreadable: int = 0
    moved: int = 0
    dead_letters: int = 0
    lost: list[Key] = field(default_factory=list)
    twice: list[Key] = field(default_factory=list)
    unequal: list[Key] = field(default_factory=list)
    foreign: list[Key] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True when nothing was lost, nothing came twice, and all is equal."""
        return not (self.lost or self.twice or self.unequal or self.foreign) and self.unreadable == self.dead_letters

    def __str__(self) -> str:
        return (
            f"{self.transactions:,} payments, {self.duplicates:,} duplicates, {self.unreadable:,} unreadable: "
            f"{len(self.lost):,} lost, {len(self.twice):,} twice, {len(self.unequal):,} unequal, "
            f"{len(self.foreign):,} foreign, {self.dead_letters:,} dead letters, {self.moved:,} moved"
        )


def audit(settings: Settings, classifiers: Mapping[str, Classifier], daily: Mapping[str, DailyTable]) -> Audit:
    """Compare the topics `transactions`, `scores` and dead letters; `classifiers` by model version.

    Each partition's transactions are replayed offline as far as its log still reaches back. Scores behind a Kafka
    transaction that is still open cannot be read yet, and count as lost: ask again when it has ended, within 30 s.
    """
    scores, log = stream_scores(settings), TransactionLog(settings)
    expected: dict[Key, tuple[float, ...]] = {}
    duplicates = 0
    for transactions in log.by_partition():
        if transactions:
            features = offline_features(pd.DataFrame(transactions), SPEC, daily)
            fresh = ~features["duplicate"].to_numpy()
            duplicates += int((~fresh).sum())
            rows = features.loc[fresh, list(SPEC.names)].to_numpy(float).tolist()
            scored = itertools.compress(transactions, fresh)
            expected |= {_key(transaction): tuple(row) for transaction, row in zip(scored, rows, strict=True)}
    count = Counter(_key(score) for score in scores)
    return Audit(
        transactions=len(expected),
        duplicates=duplicates,
        unreadable=log.unreadable,
        moved=len(log.moved),
        dead_letters=_dead_letters(settings),
        lost=[key for key in expected if not count[key]],
        twice=[key for key, number in count.items() if number > 1],
        unequal=_unequal(scores, expected, classifiers),
        foreign=[key for key in count if key not in expected],
    )


def _key(of: Transaction | ScoreMessage) -> Key:
    return of.user_id, of.transaction_id


class TransactionLog:
    """The topic's transactions by place; the places of records that were written again elsewhere; how many are none."""

    def __init__(self, settings: Settings) -> None:
        self.unreadable = 0
        self.moved: set[tuple[int, int]] = set()
        self._records: dict[int, list[tuple[int, int, Transaction]]] = {}  # offset, milliseconds, transaction
        topic = settings.transactions_topic
        for state in describe_topic(settings.bootstrap_servers, topic):
            records = self._records[state.partition] = []
            for record in read_partition(settings.bootstrap_servers, topic, state.partition):
                headers = dict(record.headers)
                if headers.get("source_topic") == topic.encode():
                    self.moved.add((int(headers["source_partition"]), int(headers["source_offset"])))
                try:
                    transaction = Transaction.from_record(record.key, record.value, record.timestamp)
                except InvalidTransaction:
                    self.unreadable += 1
                else:
                    records.append((record.offset, record.timestamp, transaction))

    def by_partition(self) -> Iterator[list[Transaction]]:
        """Each partition's transactions that are scored where they lie."""
        for partition in self._records:
            yield [transaction for _, transaction in self._scored(partition)]

    def by_arrival(self) -> list[Transaction]:
        """The transactions of all partitions that are scored where they lie, as the broker received them."""
        partitions = (self._scored(partition) for partition in self._records)
        return [transaction for _, transaction in heapq.merge(*partitions, key=itemgetter(0))]

    def _scored(self, partition: int) -> list[tuple[int, Transaction]]:
        return [
            (time_ms, transaction)
            for offset, time_ms, transaction in self._records[partition]
            if (partition, offset) not in self.moved
        ]


def stream_scores(settings: Settings) -> list[ScoreMessage]:
    """The workers' scores; those that came over HTTP have no transaction in the topic."""
    records = read_topic(settings.bootstrap_servers, settings.scores_topic)
    scores = (ScoreMessage.from_json(record.value) for record in records)
    return [score for score in scores if score.door == "stream"]


def _dead_letters(settings: Settings) -> int:
    """The number of the topic's records that lie in the dead-letter topic, each counted once."""
    sources = set()
    for record in read_partition(settings.bootstrap_servers, settings.dead_letter_topic, 0):
        headers = dict(record.headers)
        if headers.get("source_topic") == settings.transactions_topic.encode():
            sources.add((headers["source_partition"], headers["source_offset"]))
    return len(sources)


def _unequal(
    scores: list[ScoreMessage], expected: Mapping[Key, tuple[float, ...]], classifiers: Mapping[str, Classifier]
) -> list[Key]:
    """The keys of the scores whose features or verdict are not those of the replay, to the last bit."""
    unequal = []
    for version, classifier in classifiers.items():
        own = [score for score in scores if score.model_version == version and _key(score) in expected]
        rows = [expected[_key(score)] for score in own]
        for score, row, verdict in zip(own, rows, classifier.classify(rows), strict=True):
            features = tuple(math.nan if value is None else value for value in score.features)
            same = repr(features) == repr(row) and repr(verdict.probability) == repr(score.fraud_probability)
            if not same or verdict.fraud != (score.prediction == "Fraud"):
                unequal.append(_key(score))
    return unequal + [_key(score) for score in scores if score.model_version not in classifiers]
