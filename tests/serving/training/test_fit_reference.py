"""A trained model brings the reference of the two weeks before it decided."""

from __future__ import annotations

import numpy as np

from capstone_utils.features.spec import SPEC
from capstone_utils.monitoring.drift.measures import BATCH, index_of_counts
from capstone_utils.serving.reference import SCORE, WEEK


def test_a_model_brings_the_two_weeks_after_its_training_weeks(trained, split):
    reference = trained.reference
    assert reference.columns == (*SPEC.names, SCORE)
    assert reference.days == 2 * WEEK
    assert reference.weekdays.sum(axis=(0, 2)).tolist() == [len(split.after_training)] * len(reference.columns)
    assert reference.reported == split.after_training["is_fraud"].mean()
    assert 0 <= reference.missed < 0.25
    assert 0 < reference.alerted < reference.reported


def test_the_weeks_in_which_it_decides_are_like_its_reference(trained, split):
    scores = trained.score.booster.inplace_predict(split.test[list(SPEC.names)].to_numpy(float))
    rows = np.column_stack([split.test[list(SPEC.names)].to_numpy(float), scores])
    indices = index_of_counts(trained.reference.weekdays.sum(axis=0), trained.reference.counts(rows))
    moved = dict(zip(trained.reference.columns, indices.round(3).tolist(), strict=True))
    assert {name: index for name, index in moved.items() if index > 0.05 and name not in BATCH} == {}
    assert moved["merchant_risk"] > 0.05, "a batch table, of which all values move each night"
