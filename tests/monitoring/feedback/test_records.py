"""A score reads from the topic as both doors write it; one that is none says which field is wrong."""

import math

import orjson
import pytest

from capstone_utils.monitoring.feedback.records import BILLION, InvalidScore, Origin, ScoreRow
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import encode
from capstone_utils.transaction import Transaction

TRANSACTION = Transaction(1, 7, 1999, 1_767_225_600_123_457, "NY", "Amazon", "mobile")


@pytest.mark.parametrize(("offset", "door"), [(5, "stream"), (None, "http")])
@pytest.mark.parametrize(("by_fallback", "decided_by"), [(False, "model"), (True, "fallback")])
def test_a_score_reads_back_with_its_money_and_its_origin(offset, door, by_fallback, decided_by):
    message = encode(TRANSACTION, offset, (1.0, math.nan), Verdict(0.25, True, by_fallback), "abc", "def")
    origin = Origin("abc", door, decided_by)
    assert ScoreRow.from_json(message) == (1, 7, TRANSACTION.event_time_us, 1999, BILLION // 4, True, "Amazon", origin)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"door": "window"}, "door='window' is not one of stream, http"),
        ({"prediction": None}, "prediction=None is not one of Fraud, Legit"),
        ({"fraud_probability": 1.5}, "fraud_probability=1.5 is not a number from 0 to 1"),
        ({"fraud_probability": True}, "fraud_probability=True is not a number"),
        ({"merchant": None}, "merchant=None is not a text"),
        ({"model_version": ""}, "model_version='' is not a text"),
        ({"user_id": None}, "user_id=None is not an integer"),
        ({"amount": "1"}, "amount='1' is not a number"),
    ],
)
def test_a_wrong_field_is_named(change, reason):
    fields = orjson.loads(encode(TRANSACTION, 5, (1.0,), Verdict(0.25, True), "abc", "def"))
    with pytest.raises(InvalidScore, match=f"^{reason}"):
        ScoreRow.from_json(orjson.dumps(fields | change))


@pytest.mark.parametrize(
    ("message", "reason"), [(None, "message=None"), (b"[]", r"message=\[\]"), (b"{}", "transaction_id is missing")]
)
def test_what_is_no_score_is_refused(message, reason):
    with pytest.raises(InvalidScore, match=f"^{reason}"):
        ScoreRow.from_json(message)
