"""A challenger in shadow: it scores what the topic `scores` holds once more, into a topic of its own, deciding nothing.

It reads the features as the champion's door served them, so it needs no state, and no door knows of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson
from kafka import TopicPartition

from capstone_utils.errors import CapstoneError
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.partition_log import assigned_consumer
from capstone_utils.ingestion.streaming.topics import describe_topic, ensure_topic
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.serving.model.classifier import Classifier, Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.score import SPEC_DIGITS, verdict_values
from capstone_utils.settings import Settings

SECONDS = 300.0  # for the transactions to come
LEAST_ALERTS = 20  # that only one of the two raises; fewer are chance
SAID = ("prediction", "fraud_probability", "decided_by")  # fields of a score
MOST = 2.0  # times as many alerts as the champion, or as few


class TooQuiet(CapstoneError):
    """A topic in which too few scores arrived while a challenger was in shadow."""


class Disagreement(NamedTuple):
    """Transactions that both have scored, and the alerts by who raised them."""

    transactions: int = 0
    both: int = 0
    champion_alone: int = 0
    challenger_alone: int = 0

    def checks(self) -> list[Check]:
        """The check that the challenger alerts about as often as the champion does."""
        champion, challenger = (self.both + alone for alone in (self.champion_alone, self.challenger_alone))
        enough = self.champion_alone + self.challenger_alone >= LEAST_ALERTS
        ratio = challenger / max(champion, 1) if enough else 1.0
        words = f"alerts in shadow, beside the champion's, on {self.transactions:,} transactions: {self.both} of both, "
        words += f"{self.champion_alone} of the champion alone, {self.challenger_alone} of the challenger alone"
        return [Check("shadow_alerts", ratio, words, 1 / MOST, MOST)]


def shadow_checks(settings: Settings, transactions: int) -> Callable[[str], list[Check]]:
    """A function: the checks of a version after so many transactions in shadow."""
    return lambda version: shadow(settings, version, transactions).checks()


def shadow(settings: Settings, version: str, transactions: int, seconds: float = SECONDS) -> Disagreement:
    """Score the next so many transactions of the topic `scores` with a published version, into the shadow topic.

    A score that is read twice is written twice, with the same verdict: whoever reads the shadow topic keeps one by
    user_id and transaction_id, as here. Scores of another spec are passed over.

    Raises:
        InvalidModel: when there is no such version, or it must not be used.
        TooQuiet: when they did not come in time.
        TopicError, NoBroker: when there are no scores, no broker.
    """
    registry = ModelRegistry(settings.models_dir)
    classifier, spec = Classifier(registry.load(version)), SPEC.hash[:SPEC_DIGITS]
    partitions = len(describe_topic(settings.bootstrap_servers, settings.scores_topic))
    ensure_topic(settings.bootstrap_servers, settings.shadow_topic, partitions)
    seen: set[tuple[int, int]] = set()
    total = Disagreement()
    with Producer(settings.bootstrap_servers) as producer:
        for batch in _batches(settings, partitions, seconds):
            fresh = {_key(score): score for score in batch if score["spec"] == spec and _key(score) not in seen}
            scores = list(fresh.values())[: transactions - total.transactions]
            seen.update(map(_key, scores))
            rows = [[math.nan if value is None else value for value in score["features"]] for score in scores]
            verdicts = classifier.classify(rows)
            for score, verdict in zip(scores, verdicts, strict=True):
                said = dict(zip(SAID, verdict_values(verdict), strict=True)) | {"model_version": version}
                producer.send(settings.shadow_topic, orjson.dumps(score | said), str(score["user_id"]).encode())
            total = _added(total, scores, verdicts)
            if total.transactions >= transactions:
                producer.flush()
                return total
    raise TooQuiet(
        f"{total.transactions} of {transactions} transactions were scored in {settings.scores_topic} within "
        f"{seconds:.0f} s; ask for fewer, or for none where there is no traffic"
    )


def _batches(settings: Settings, partitions: int, seconds: float) -> Iterator[Sequence[dict[str, Any]]]:
    """The fields of the scores that are written from now on, until the time is up."""
    places = [TopicPartition(settings.scores_topic, number) for number in range(partitions)]
    deadline = time.monotonic() + seconds
    with assigned_consumer(settings.bootstrap_servers, places) as consumer:
        consumer.seek_to_end(*places)
        while time.monotonic() < deadline:
            for records in consumer.poll(200).values():
                yield [orjson.loads(record.value) for record in records]


def _key(score: dict[str, Any]) -> tuple[int, int]:
    return score["user_id"], score["transaction_id"]


def _added(total: Disagreement, scores: Sequence[dict[str, Any]], verdicts: Sequence[Verdict]) -> Disagreement:
    pairs = [(score["prediction"] == "Fraud", verdict.fraud) for score, verdict in zip(scores, verdicts, strict=True)]
    counts = (len(pairs), *(pairs.count(pair) for pair in ((True, True), (True, False), (False, True))))
    return Disagreement(*map(sum, zip(total, counts, strict=True)))
