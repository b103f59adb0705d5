"""What the features are: one declaration that the online state, the offline frame and every model read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


@dataclass(frozen=True)
class Window:
    """An aggregate over the user's transactions with event time in (t - seconds, t], this transaction included."""

    name: str
    aggregate: Literal["count", "mean", "distinct"]
    column: str  # "amount_cents" for count and mean, a text column for distinct
    seconds: int


@dataclass(frozen=True)
class State:
    """A value from what the user did before, however long ago; `online.py` and `offline.py` say how each is made."""

    name: str
    kind: Literal["amount", "seconds_since_last", "speed_kmh", "first_seen", "amount_ratio", "hour_of_day"]
    column: str = ""


@dataclass(frozen=True)
class Daily:
    """A value of a batch table: the transaction of day d sees the row of `key` made from what was known before d."""

    name: str
    key: Literal["user_id", "merchant"]


Feature = Window | State | Daily


@dataclass(frozen=True)
class FeatureSpec:
    """An ordered set of features, the lateness it tolerates, and a hash that models and snapshots carry."""

    features: tuple[Feature, ...]
    allowed_lateness_seconds: int = 3600

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """The window lengths in seconds, ascending."""
        return tuple(sorted({f.seconds for f in self.features if isinstance(f, Window)}))

    @cached_property
    def text_columns(self) -> tuple[str, ...]:
        """The text columns of which values are remembered: for distinct counts and for first-seen flags."""
        columns = [f.column for f in self.features if isinstance(f, Window) and f.aggregate == "distinct"]
        columns += [f.column for f in self.features if isinstance(f, State) and f.kind == "first_seen"]
        return tuple(dict.fromkeys(columns))

    @property
    def retention_us(self) -> int:
        """How long a transaction stays in a user's state: the longest window and the allowed lateness, microseconds."""
        return (max(self.windows, default=0) + self.allowed_lateness_seconds) * SECOND_US

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the declaration, in hexadecimal: equal hashes mean equal features."""
        declared = [{"is": type(feature).__name__, **asdict(feature)} for feature in self.features]
        text = json.dumps([declared, self.allowed_lateness_seconds], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _window(seconds: int, suffix: str, *distinct: str) -> tuple[Window, ...]:
    return (
        Window(f"avg_transaction_amount{suffix}", "mean", "amount_cents", seconds),
        Window(f"transaction_count{suffix}", "count", "amount_cents", seconds),
        *(Window(f"unique_{column}s{suffix}", "distinct", column, seconds) for column in distinct),
    )


BRIEF = FeatureSpec((State("amount", "amount"), *_window(300, "", "location", "device")))

SPEC = FeatureSpec(
    (
        *BRIEF.features,
        *_window(3600, "_1h", "location", "device", "merchant"),
        *_window(86_400, "_24h", "location", "device", "merchant"),
        State("seconds_since_last", "seconds_since_last"),
        State("speed_kmh", "speed_kmh"),
        State("is_new_device", "first_seen", "device"),
        State("is_new_merchant", "first_seen", "merchant"),
        State("is_new_location", "first_seen", "location"),
        State("amount_ratio", "amount_ratio"),
        State("hour_of_day", "hour_of_day"),
        Daily("merchant_risk", "merchant"),
        Daily("user_daily_transactions", "user_id"),
    )
)

BRIEF_FEATURES = BRIEF.names
