"""What stands in the topic `scores`: a payment's verdict with the features that it rests on, as JSON.

Numbers are written so that they read back to the same bits; a missing feature is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.transaction import Transaction

SPEC_DIGITS = 12  # of the spec's hash


class ScoreMessage(NamedTuple):
    """A score as it is read back; `features` in the order of the spec whose hash begins with `spec`."""

    transaction_id: int
    user_id: int
    timestamp: float
    prediction: str
    fraud_probability: float
    decided_by: str
    model_version: str
    spec: str
    source_offset: int
    features: tuple[float | None, ...]

    @classmethod
    def from_json(cls, message: bytes) -> ScoreMessage:
        """The score in a message of the topic."""
        fields: dict[str, Any] = orjson.loads(message)
        return cls(**fields | {"features": tuple(fields["features"])})


def encode(
    transaction: Transaction, offset: int, features: Sequence[float], verdict: Verdict, version: str, spec: str
) -> bytes:
    """The message for a payment that lay at `offset` of its partition."""
    probability, fraud, by_fallback = verdict
    return orjson.dumps(
        {
            "transaction_id": transaction.transaction_id,
            "user_id": transaction.user_id,
            "timestamp": transaction.event_time_us / 1_000_000,
            "prediction": "Fraud" if fraud else "Legit",
            "fraud_probability": probability,
            "decided_by": "fallback" if by_fallback else "model",
            "model_version": version,
            "spec": spec,
            "source_offset": offset,
            "features": features,
        }
    )
