"""Reasons of alerts: the feature that spoke loudest to the version that scored, and to nobody where it is not known."""

from __future__ import annotations

import numpy as np
import pytest

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.monitoring.feedback.alert_reasons import REASONS, UNKNOWN, AlertReasons
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.feedback.records import ScoreRow
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.transaction import Transaction
from tests.serving.small_model import settled_rows, small_model


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    rows = settled_rows()  # whose amounts give frauds away
    fraud = rows["is_fraud"].to_numpy()
    registry = ModelRegistry(tmp_path_factory.mktemp("models"))
    registry.publish(Models(*(small_model(rows, fraud, names) for names in (SPEC.names, BRIEF_FEATURES))))
    return registry


def scored(
    version: str, fraud: bool = True, spec: str = SPEC.hash, by_fallback: bool = False
) -> tuple[ScoreRow, bytes]:
    features = np.full(len(SPEC.names), 0.5)
    features[SPEC.names.index("amount")] = 900.0
    features[-1] = np.nan
    transaction = Transaction(1, 7, 90_000, 1_767_571_200_000_000, "NY", "Amazon", "mobile")
    message = encode(transaction, 0, features.tolist(), Verdict(0.9, fraud, by_fallback), version, spec[:SPEC_DIGITS])
    return ScoreRow.from_json(message), message


def test_the_loudest_feature_of_each_alert_is_counted_and_nothing_else(registry):
    reasons, version = AlertReasons(registry), registry.champion()
    scores = [scored(version), scored(version, fraud=False), scored(version), scored(version, by_fallback=True)]
    assert reasons.count(scores) == {"amount": 3}


def test_of_a_version_that_is_gone_and_of_another_spec_nothing_is_known(registry, caplog):
    reasons, version = AlertReasons(registry), registry.champion()
    unknown = [scored("gone00000000"), scored("gone00000000"), scored(version, spec="f" * 64)]
    assert reasons.count([*unknown, scored(version)]) == {UNKNOWN: 3, "amount": 1}
    assert caplog.text.count("counted without their reasons") == 1


def test_labels_are_the_models_features_and_read_as_zero_from_the_start():
    registry = FeedbackMetrics().registry
    assert {*SPEC.names, UNKNOWN} == {*REASONS}
    for reason in REASONS:
        assert registry.get_sample_value("feedback_alert_reasons_total", {"reason": reason}) == 0
