"""A score reads back to the same bits, and each way of writing it down says the same of its verdict."""

import math

import orjson
import pytest

from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score, ScoreMessage, encode, verdict_values
from capstone_utils.transaction import Transaction

TRANSACTION = Transaction(1, 7, 1999, 1767225600123457, "NY", "Amazon", "mobile")
FEATURES = (19.99, math.nan, 1 / 3, 5e-324)


@pytest.mark.parametrize(
    ("verdict", "prediction", "decided_by"),
    [
        (Verdict(0.1, False), "Legit", "model"),
        (Verdict(0.9, True), "Fraud", "model"),
        (Verdict(0.2, True, True), "Fraud", "fallback"),
    ],
)
def test_a_verdict_is_stated_the_same_everywhere(verdict, prediction, decided_by):
    message = ScoreMessage.from_json(encode(TRANSACTION, 5, FEATURES, verdict, "abc", "def"))
    stated = message.prediction, message.fraud_probability, message.decided_by
    assert stated == verdict_values(verdict) == (prediction, verdict.probability, decided_by)


def test_a_score_reads_back_from_its_row_to_the_last_bit():
    score = Score(TRANSACTION, Verdict(0.1 + 0.2, True, True), FEATURES, "abc", "def")
    assert repr(Score.from_row(orjson.loads(orjson.dumps(score.to_row())))) == repr(score)


def test_the_topic_s_message_can_be_made_from_the_journal_s_row():
    score = Score(TRANSACTION, Verdict(0.3, False), FEATURES, "abc", "def")
    transaction, verdict, features, version, spec, _ = Score.from_row(orjson.loads(orjson.dumps(score.to_row())))
    expected = encode(TRANSACTION, 5, FEATURES, score.verdict, "abc", "def")
    assert encode(transaction, 5, features, verdict, version, spec) == expected
    assert orjson.loads(expected) == {
        "transaction_id": 1,
        "user_id": 7,
        "timestamp": 1767225600.123457,
        "amount": 19.99,
        "merchant": "Amazon",
        "prediction": "Legit",
        "fraud_probability": 0.3,
        "decided_by": "model",
        "model_version": "abc",
        "spec": "def",
        "door": "stream",
        "source_offset": 5,
        "features": [19.99, None, 1 / 3, 5e-324],
    }
