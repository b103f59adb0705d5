"""A score: a verdict written down with its transaction, features and model version, for the journal and for the topic.

Numbers are written so that they read back to the same bits; a missing feature is null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.transaction import Transaction

SPEC_DIGITS = 12  # of the spec's hash


class Score(NamedTuple):
    """The score of one transaction; `features` in the order of the spec whose hash begins with `spec`, missing as NaN.

    A `duplicate` repeats what its transaction was given before.
    """

    transaction: Transaction
    verdict: Verdict
    features: tuple[float, ...]
    version: str  # of the models
    spec: str
    duplicate: bool = False

    @property
    def probability(self) -> float:
        """The model's probability of fraud."""
        return self.verdict.probability

    @property
    def fraud(self) -> bool:
        """True when the transaction is called fraud."""
        return self.verdict.fraud

    @property
    def key(self) -> tuple[int, int]:
        """The user_id and the transaction_id, which name a transaction."""
        return self.transaction.user_id, self.transaction.transaction_id

    def to_row(self) -> list[Any]:
        """The score as plain values for JSON: what the journal and the snapshots hold."""
        return [list(self.transaction), list(self.verdict), self.version, self.spec, self.features]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Score:
        """The score that `to_row` wrote; a row of three values comes from an older journal and has no features."""
        transaction, verdict, version, *rest = row
        spec, features = rest or ("", ())
        values = tuple(math.nan if value is None else value for value in features)
        return cls(Transaction(*transaction), Verdict(*verdict), values, version, spec)


class ScoreMessage(NamedTuple):
    """A score as the topic `scores` has it; `features` in the order of the spec whose hash begins with `spec`."""

    transaction_id: int
    user_id: int
    timestamp: float
    amount: float
    merchant: str
    prediction: str
    fraud_probability: float
    decided_by: str
    model_version: str
    spec: str
    door: str  # "stream" or "http"
    source_offset: int | None  # of the transaction in its partition; None over HTTP
    features: tuple[float | None, ...]

    @classmethod
    def from_json(cls, message: bytes) -> ScoreMessage:
        """The score in a message of the topic."""
        fields: dict[str, Any] = orjson.loads(message)
        return cls(**fields | {"features": tuple(fields["features"])})


def verdict_values(verdict: Verdict) -> tuple[str, float, str]:
    """The values of `prediction`, `fraud_probability` and `decided_by`, as every message and response has them."""
    probability, fraud, by_fallback = verdict
    return "Fraud" if fraud else "Legit", probability, "fallback" if by_fallback else "model"


def encode(
    transaction: Transaction, offset: int | None, features: Sequence[float], verdict: Verdict, version: str, spec: str
) -> bytes:
    """The topic's message for a transaction that lay at `offset` of its partition; None: it came over HTTP."""
    prediction, probability, decided_by = verdict_values(verdict)  # a tuple: merging dictionaries would cost 1 us
    return orjson.dumps(
        {
            "transaction_id": transaction.transaction_id,
            "user_id": transaction.user_id,
            "timestamp": transaction.event_time_us / 1_000_000,
            "amount": transaction.amount_cents / 100,
            "merchant": transaction.merchant,
            "prediction": prediction,
            "fraud_probability": probability,
            "decided_by": decided_by,
            "model_version": version,
            "spec": spec,
            "door": "http" if offset is None else "stream",
            "source_offset": offset,
            "features": features,
        }
    )
