"""The feature spec: one declaration for online state, offline frame, models."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, get_args

from capstone_utils.errors import CapstoneError
from capstone_utils.transaction import DAY_SECONDS, SECOND_US

# The places of a new kind of State. From the transaction alone: `State.kind` below, MOMENT in features/moment.py (which
# online and offline share), the words in serving/model/reasons.py, the oracle in tests/features/naive.py. From what the
# user did before: `State.kind`, HISTORY, `UserState.history` (in HISTORY's order), features/offline/history.py, words
# and oracle. The tests of the spec, of parity and of the reasons fail while one of them is missing.
HISTORY = ("seconds_since_last", "speed_kmh", "amount_ratio")

VALUE_COUNTS = ("distinct", "same")  # the aggregates over texts

Key = Literal["user_id", "merchant"]
Text = Literal["location", "merchant", "device", "category"]  # category: the kind of shop


class InvalidSpec(CapstoneError):
    """A declaration that cannot be computed; names the feature, what it says and what would be right."""


@dataclass(frozen=True)
class Window:
    """An aggregate over one key's transactions with event time in (t - delay - seconds, t - delay].

    Without a delay this transaction itself is in it. `same` counts those that have its text. `fraud_rate` is the share
    of those transactions that were reported as fraud within `delay_seconds` of their event time. At time t, this is
    known for certain of each of them.
    """

    name: str
    aggregate: Literal["count", "mean", "distinct", "same", "fraud_rate"]
    column: str  # "amount_cents" for count and mean, a text for distinct and same, "is_fraud" for fraud_rate
    seconds: int
    key: Key = "user_id"
    delay_seconds: int = 0


@dataclass(frozen=True)
class State:
    """A value of the moment or of the user's history: `moment.py`, `user_state.py`."""

    name: str
    kind: Literal[
        "amount",
        "hour_of_day",
        "is_weekend",
        "is_night",
        "seconds_since_last",
        "speed_kmh",
        "amount_ratio",
        "first_seen",
    ]
    column: str = ""  # a text column for first_seen


@dataclass(frozen=True)
class Daily:
    """A value of a batch table.

    A transaction of day d sees what was known of its `key` before day d.
    """

    name: str
    key: Key


Feature = Window | State | Daily


@dataclass(frozen=True)
class FeatureSpec:
    """An ordered set of features, with limits of lateness and memory.

    Raises:
        InvalidSpec: for a feature that cannot be computed, by name.
    """

    features: tuple[Feature, ...]
    allowed_lateness_seconds: int = 3600
    max_events: int = 100_000  # a key's transactions in its state; when there are more, the older half is forgotten
    max_values: int = 256  # a user's known values a column; one more, and the one known longest is forgotten

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise InvalidSpec(f"the names {sorted({n for n in self.names if self.names.count(n) > 1})} stand twice")
        for name, least in (("allowed_lateness_seconds", 0), ("max_events", 2), ("max_values", 1)):
            if getattr(self, name) < least:
                raise InvalidSpec(f"{name}={getattr(self, name)!r} should be at least {least}")
        for feature in self.features:
            if isinstance(feature, Window):
                _check_window(feature)
            elif isinstance(feature, State) and (feature.kind == "first_seen") != (feature.column in _TEXTS):
                raise InvalidSpec(f"{feature.name}: column={feature.column!r} does not go with {feature.kind}")
        delays = {window.delay_seconds for window in self.windows if window.aggregate == "fraud_rate"}
        if len(delays) > 1:
            raise InvalidSpec(f"the fraud rates have the label delays {sorted(delays)} s; one spec has one")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """The features that are aggregates over a window."""
        return tuple(feature for feature in self.features if isinstance(feature, Window))

    @cached_property
    def known_columns(self) -> tuple[str, ...]:
        """The text columns of which a user's known values are remembered, for first-seen flags."""
        columns = [f.column for f in self.features if isinstance(f, State) and f.kind == "first_seen"]
        return tuple(dict.fromkeys(columns))

    @cached_property
    def daily(self) -> tuple[Daily, ...]:
        """The features that come from batch tables."""
        return tuple(feature for feature in self.features if isinstance(feature, Daily))

    @cached_property
    def label_delay_us(self) -> int:
        """The time after a transaction in which a report of fraud counts, microseconds; 0 when no feature asks."""
        delays = (window.delay_seconds for window in self.windows if window.aggregate == "fraud_rate")
        return max(delays, default=0) * SECOND_US

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the declaration, in hexadecimal: equal hashes mean equal features."""
        declared = [{"is": type(feature).__name__, **asdict(feature)} for feature in self.features]
        limits = [self.allowed_lateness_seconds, self.max_events, self.max_values]
        return hashlib.sha256(json.dumps([declared, limits], sort_keys=True).encode()).hexdigest()


_TEXTS = get_args(Text)
_KEYS = ("user_id", "merchant")
_COLUMNS = {
    "count": ("amount_cents",),
    "mean": ("amount_cents",),
    "distinct": _TEXTS,
    "same": _TEXTS,
    "fraud_rate": ("is_fraud",),
}


def _check_window(window: Window) -> None:
    """Raise InvalidSpec unless the window can be computed."""
    wrong = ""
    if window.aggregate not in _COLUMNS:
        wrong = f"aggregate={window.aggregate!r} is none of {', '.join(_COLUMNS)}"
    elif window.column not in _COLUMNS[window.aggregate]:
        wrong = f"column={window.column!r} is none of {', '.join(_COLUMNS[window.aggregate])}"
    elif window.key not in _KEYS:
        wrong = f"key={window.key!r} is none of {', '.join(_KEYS)}"
    elif window.seconds <= 0 or window.delay_seconds < 0:
        wrong = f"seconds={window.seconds!r} after delay_seconds={window.delay_seconds!r} is no length of time"
    elif window.aggregate in VALUE_COUNTS and window.delay_seconds:
        wrong = f"{window.aggregate} values are counted without a delay"
    elif window.aggregate == "fraud_rate" and not window.delay_seconds:
        wrong = "delay_seconds=0: fraud is not known at once; give the labels time"
    if wrong:
        raise InvalidSpec(f"{window.name}: {wrong}")


def _windows(seconds: int, suffix: str, *distinct: Text) -> tuple[Window, ...]:
    return (
        Window(f"avg_transaction_amount{suffix}", "mean", "amount_cents", seconds),
        Window(f"transaction_count{suffix}", "count", "amount_cents", seconds),
        *(Window(f"unique_{column}s{suffix}", "distinct", column, seconds) for column in distinct),
    )


BRIEF = FeatureSpec((State("amount", "amount"), *_windows(300, "", "location", "device")))

SPEC = FeatureSpec(
    (
        *BRIEF.features,
        *_windows(3600, "_1h", "location", "device", "merchant"),
        *_windows(DAY_SECONDS, "_24h", "location", "device", "merchant"),
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
