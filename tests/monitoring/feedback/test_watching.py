"""The drift watch inside the join: fed once with each score, kept with the rows, and of the version that scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.labels import Label
from capstone_utils.monitoring.drift.metrics import DriftMetrics
from capstone_utils.monitoring.feedback.records import ScoreRow
from capstone_utils.monitoring.feedback.store import FeedbackStore
from capstone_utils.monitoring.feedback.watching import Watching
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.store import InvalidModel
from capstone_utils.serving.reference import SCORE, make_reference
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.transaction import DAY_US, Transaction

MONDAY = 20472  # days since 1970
A_DAY = 1200
WIDTH = len(SPEC.names)
RATIO = "drift_statistic_ratio"


def rows(day, shift=0.0):
    return np.random.default_rng(day).normal(shift, 1, (A_DAY, WIDTH))


def messages(day, version="abc", shift=0.0, merchant="Maple Gift Cards"):
    """A day's scores as the topic has them."""
    for number, features in enumerate(rows(day, shift)):
        time_us = day * DAY_US + number * (DAY_US // A_DAY)
        transaction = Transaction(day * A_DAY + number, number, 1_000, time_us, "NY", merchant, "mobile")
        yield encode(transaction, number, features.tolist(), Verdict(0.01, False), version, SPEC.hash[:SPEC_DIGITS])


@pytest.fixture(scope="module")
def reference():
    days = range(MONDAY - 14, MONDAY)
    features = np.concatenate([rows(day) for day in days])
    scored = np.column_stack([features, np.full(len(features), 0.01)])
    times = np.repeat([day * DAY_US for day in days], A_DAY)
    users = np.tile(np.arange(A_DAY), len(days))
    few = users < 6
    return make_reference([*SPEC.names, SCORE], times, scored, users, few, few)


@pytest.fixture
def registry(reference):
    def load(version):
        if version == "gone":
            raise InvalidModel("version gone is not in the registry")
        return SimpleNamespace(reference=reference if version == "abc" else None)

    return SimpleNamespace(load=load)


@pytest.fixture
def store(tmp_path):
    opened = FeedbackStore(tmp_path / "joined.sqlite", clock_rank=1)
    yield opened
    opened.close()


class Join:
    """What the feedback process does with a batch."""

    def __init__(self, store, registry):
        self.store, self.metrics = store, DriftMetrics(CollectorRegistry())
        self.watching = Watching(registry, self.metrics)
        self.watching.restore(store.watch())

    def take(self, batch, labels=(), fails=False):
        scores = [(ScoreRow.from_json(message), message) for message in batch]
        first = self.store.unseen(row for row, _ in scores)
        fresh = [each for each, new in zip(scores, first, strict=True) if new]

        def watch():
            state = self.watching.take(fresh, self.store)
            if fails:
                raise OSError("the disk is full")
            return state

        self.store.add([row for row, _ in scores], list(labels), {}, watch)

    def ratios(self):
        return dict(self.metrics.watch.ratios)


def test_a_feature_that_jumps_rings_at_the_end_of_its_day(store, registry):
    join = Join(store, registry)
    for day in range(MONDAY, MONDAY + 3):
        join.take(messages(day))
    join.take(messages(MONDAY + 3, shift=3.0))
    assert max(ratio for (detector, _), ratio in join.ratios().items() if detector == "feature") < 1
    join.take(messages(MONDAY + 4))
    assert join.metrics.registry.get_sample_value(RATIO, {"detector": "feature", "column": SPEC.names[0]}) >= 1


def test_a_score_that_comes_twice_counts_once_and_a_restart_changes_nothing(store, registry, tmp_path):
    undisturbed = Join(FeedbackStore(tmp_path / "undisturbed.sqlite", clock_rank=1), registry)
    join = Join(store, registry)
    for day in range(MONDAY, MONDAY + 3):
        batch = list(messages(day))
        undisturbed.take(batch[:700])
        undisturbed.take(batch[700:])
        join.take([*batch[:700], *batch[:100]])
        join = Join(store, registry)  # as after a kill
        join.take(batch[600:])
    assert join.ratios() == undisturbed.ratios()
    undisturbed.store.close()


def test_a_batch_that_was_not_kept_counts_when_it_is_read_again(store, registry, tmp_path):
    undisturbed = Join(FeedbackStore(tmp_path / "undisturbed.sqlite", clock_rank=1), registry)
    join = Join(store, registry)
    for day in range(MONDAY, MONDAY + 2):
        batch = list(messages(day))
        undisturbed.take(batch)
        with pytest.raises(OSError, match="full"):
            join.take(batch, fails=True)
        join.watching.restore(store.watch())
        join.take(batch)
    assert join.ratios() == undisturbed.ratios()
    undisturbed.store.close()


def test_missed_frauds_ring_and_name_the_kind_of_shop(store, registry):
    join = Join(store, registry)
    join.take(messages(MONDAY))
    labels = [
        Label(MONDAY * A_DAY + number, number, True, MONDAY * DAY_US, (MONDAY + 1) * DAY_US + number, "customer")
        for number in range(20)
    ]
    join.take(messages(MONDAY + 2), labels)
    assert join.ratios()["missed_fraud", "Gift Cards"] >= 1


def test_a_report_counts_also_when_it_comes_after_its_time_or_before_its_score(store, registry):
    join = Join(store, registry)
    known = (MONDAY + 1) * DAY_US
    late, early = (
        [Label(day * A_DAY + number, number, True, day * DAY_US, known + number, "customer") for number in range(20)]
        for day in (MONDAY, MONDAY + 1)
    )
    early = [label._replace(known_at_us=label.known_at_us + DAY_US) for label in early]
    join.take(messages(MONDAY), early)
    join.take(messages(MONDAY + 3))
    assert ("missed_fraud", "Gift Cards") not in join.ratios()
    join.take([], late[:5])
    rising = join.ratios()["missed_fraud", ""]
    assert rising > 0
    join.take(messages(MONDAY + 1))
    assert join.ratios()["missed_fraud", "Gift Cards"] > rising


def test_a_new_version_is_watched_from_its_first_score_and_one_without_reference_is_not(store, registry, caplog):
    join = Join(store, registry)
    join.take(messages(MONDAY))
    join.take(messages(MONDAY + 1, version="old"))
    assert join.metrics.watch is None
    join.take(messages(MONDAY + 2, version="gone"))
    assert [record.getMessage() for record in caplog.records] == [
        "drift of the model old is not watched: it was exported without a reference",
        "drift of the model gone is not watched: version gone is not in the registry",
    ]
