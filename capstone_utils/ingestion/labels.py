"""Labels as the bank gets them: fraud reported days later, sometimes never, and now and then wrongly.

A label is a message of the topic `labels`: who says what of which transaction, and since when it is known. Nothing is
sent of a transaction that nobody speaks of; after `LABEL_DELAY_DAYS` it is presumed legitimate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import pandas as pd

from capstone_utils.transaction import (
    DAY_US,
    MISSING,
    SCHEMA_VERSION,
    InvalidMessage,
    InvalidTransaction,
    parse_json,
    to_identifier,
    to_microseconds,
)

LABEL_DELAY_DAYS = 7  # after so many days without a report, a payment counts as legitimate
SOURCES = ("customer", "analyst", "chargeback")
FIELDS = ("transaction_id", "user_id", "is_fraud", "timestamp", "known_at", "source")


class InvalidLabel(InvalidMessage):
    """A message that is no label."""


class LabelFromTheFuture(InvalidLabel):
    """A label that became known later than it was sent."""


class Label(NamedTuple):
    """One label. Times are integer microseconds since 1970 UTC: of the transaction, and when the label became known.

    >>> label = Label.from_json(b'{"transaction_id": 1, "user_id": 7, "is_fraud": true, "timestamp": 1767225600.5,'
    ...                         b' "known_at": 1767398400, "source": "customer"}')
    >>> label.is_fraud, label.known_at_us - label.event_time_us
    (True, 172799500000)
    >>> Label.from_json(label.to_json()) == label
    True
    """

    transaction_id: int
    user_id: int
    is_fraud: bool
    event_time_us: int
    known_at_us: int
    source: str

    @classmethod
    def from_json(cls, message: bytes | str | None) -> Label:
        """The label in a JSON message, of whatever key; further fields are left for later versions.

        Raises:
            InvalidLabel: for anything else, naming the field (`message` when it is null or no JSON object).
        """
        try:
            return cls._from_fields(parse_json(message))
        except InvalidTransaction as error:
            raise InvalidLabel(error.field, error.value, error.expected) from None

    @classmethod
    def from_record(cls, key: bytes | None, message: bytes | None, timestamp_ms: int) -> Label:
        """The label in a record of the topic `labels`, which lies under its user's key; `timestamp_ms` is the record's.

        Raises:
            LabelFromTheFuture: when it became known more than a day after the record was made.
            InvalidLabel: for anything else, and for a wrong key.
        """
        label = cls.from_json(message)
        if key != label.key:
            raise InvalidLabel("key", key, f"the user's, {label.key!r}")
        if label.known_at_us > timestamp_ms * 1000 + DAY_US:
            raise LabelFromTheFuture(
                "known_at", label.known_at_us / 1e6, "at most a day ahead of the record's own time"
            )
        return label

    @classmethod
    def _from_fields(cls, fields: Any) -> Label:
        if not isinstance(fields, dict):
            raise InvalidLabel("message", fields, "a JSON object")
        if fields.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
            raise InvalidLabel("schema_version", fields["schema_version"], f"the known version {SCHEMA_VERSION}")
        for name in FIELDS:
            if name not in fields:
                raise InvalidLabel(name, MISSING, "one of the six fields")
        if type(fields["is_fraud"]) is not bool:
            raise InvalidLabel("is_fraud", fields["is_fraud"], "true or false")
        if fields["source"] not in SOURCES:
            raise InvalidLabel("source", fields["source"], f"one of {', '.join(SOURCES)}")
        label = cls(
            to_identifier("transaction_id", fields["transaction_id"]),
            to_identifier("user_id", fields["user_id"]),
            fields["is_fraud"],
            to_microseconds(fields["timestamp"]),
            to_microseconds(fields["known_at"], "known_at"),
            fields["source"],
        )
        if label.known_at_us < label.event_time_us:
            raise InvalidLabel("known_at", fields["known_at"], f"at or after the timestamp {fields['timestamp']}")
        return label

    def to_json(self) -> bytes:
        """The message for the topic `labels`, UTF-8 JSON."""
        return orjson.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "transaction_id": self.transaction_id,
                "user_id": self.user_id,
                "is_fraud": self.is_fraud,
                "timestamp": self.event_time_us / 1_000_000,
                "known_at": self.known_at_us / 1_000_000,
                "source": self.source,
            }
        )

    @property
    def key(self) -> bytes:
        """The Kafka key, that of the transaction: the user."""
        return b"%d" % self.user_id


def labels_known_by(labels: pd.DataFrame, time_us: int) -> pd.DataFrame:
    """The rows of `labels` that had arrived by `time_us` (microseconds since 1970 UTC), that moment included."""
    return labels[labels["known_at_us"] <= time_us]
