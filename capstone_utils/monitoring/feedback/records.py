"""Records of the topic `scores` as the join keeps them: without their features, in whole numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from capstone_utils.transaction import (
    MISSING,
    InvalidMessage,
    InvalidTransaction,
    category_of,
    parse_json,
    to_cents,
    to_identifier,
    to_microseconds,
)

BILLION = 1_000_000_000  # probabilities are kept in billionths: sums of whole numbers are the same in every order
FIELDS = (
    "transaction_id",
    "user_id",
    "timestamp",
    "amount",
    "merchant",
    "fraud_probability",
    "prediction",
    "model_version",
    "door",
    "decided_by",
)
TEXTS = {"prediction": ("Fraud", "Legit"), "door": ("stream", "http"), "decided_by": ("model", "fallback")}


class InvalidScore(InvalidMessage):
    """A message that is no score."""


class Origin(NamedTuple):
    """What a verdict came from, and where."""

    version: str  # of the model
    door: str
    decided_by: str  # "model", or "fallback" for an alert that only the fallback raised


class ScoreRow(NamedTuple):
    """A score as the join keeps it."""

    transaction_id: int
    user_id: int
    event_time_us: int
    cents: int
    billionths: int  # of the probability of fraud
    alert: bool
    category: str  # of the merchant
    origin: Origin

    @classmethod
    def from_json(cls, message: bytes | None) -> ScoreRow:
        """The score in a message of the topic; further fields are left out.

        Raises:
            InvalidScore: for anything else, naming the field (`message` when it is null or no JSON object).
        """
        try:
            return cls._from_fields(parse_json(message))
        except InvalidTransaction as error:
            raise InvalidScore(error.field, error.value, error.expected) from None

    @classmethod
    def _from_fields(cls, fields: Any) -> ScoreRow:
        if not isinstance(fields, dict):
            raise InvalidScore("message", fields, "a JSON object")
        try:
            transaction_id, user_id, timestamp, amount, merchant, probability, prediction, version, door, decided_by = (
                fields[name] for name in FIELDS
            )
        except KeyError as error:
            raise InvalidScore(error.args[0], MISSING, "a field of every score") from None
        for name, value in (("prediction", prediction), ("door", door), ("decided_by", decided_by)):
            if value not in TEXTS[name]:
                raise InvalidScore(name, value, f"one of {', '.join(TEXTS[name])}")
        if type(probability) not in (int, float) or not 0 <= probability <= 1:
            raise InvalidScore("fraud_probability", probability, "a number from 0 to 1")
        for name, text in (("merchant", merchant), ("model_version", version)):
            if type(text) is not str or not text:
                raise InvalidScore(name, text, "a text")
        return cls(
            to_identifier("transaction_id", transaction_id),
            to_identifier("user_id", user_id),
            to_microseconds(timestamp),
            to_cents(amount),
            round(probability * BILLION),
            prediction == "Fraud",
            category_of(merchant),
            Origin(version, door, decided_by),
        )
