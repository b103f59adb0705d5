"""An oracle so naive that it is obviously right: each feature recomputed from everything that arrived before it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.spec import Daily, Feature, FeatureSpec, State, Window
from capstone_utils.ingestion.places import distance_km
from capstone_utils.transaction import SECOND_US, Transaction

NEVER = -(10**18)
Answer = dict[str, float] | None


class Naive:
    """The arrival log so far, and what it says of the next transaction."""

    def __init__(
        self, spec: FeatureSpec, daily: Mapping[str, DailyTable], fraud_known_us: Mapping[int, int] | None = None
    ) -> None:
        self.spec, self.daily = spec, daily
        self.fraud_known_us = fraud_known_us or {}  # transaction_id -> when it was reported
        self.accepted: dict[int, list[Transaction]] = defaultdict(list)  # by user, ever
        self.kept: dict[tuple[str, object], list[Transaction]] = defaultdict(list)  # by key and its value

    def update(self, now: Transaction) -> Answer:
        """The features of `now`, None for a duplicate; then `now` is part of the log."""
        kept = self.kept["user_id", now.user_id]
        if any(t.transaction_id == now.transaction_id and self.is_retained(t, kept, "user_id") for t in kept):
            return None
        answer = {feature.name: float(self.value(feature, now)) for feature in self.spec.features}
        if not self.is_too_late(now, kept):
            self.accepted[now.user_id].append(now)
            for key in ("user_id", "merchant"):
                self.keep(now, self.kept[key, getattr(now, key)], key)
        return answer

    def keep(self, now: Transaction, kept: list[Transaction], key: str) -> None:
        """A key's transactions; when more than `max_events` are in the retention, the older half is forgotten."""
        if not self.is_too_late(now, kept):
            kept.append(now)
            retained = sorted((t for t in kept if self.is_retained(t, kept, key)), key=lambda t: t.event_time_us)
            if len(retained) > self.spec.max_events:
                kept[:] = retained[-(self.spec.max_events // 2) :]

    def is_too_late(self, now: Transaction, kept: list[Transaction]) -> bool:
        latest = max((t.event_time_us for t in kept), default=NEVER)
        return now.event_time_us < latest - self.spec.allowed_lateness_seconds * SECOND_US

    def is_retained(self, then: Transaction, kept: list[Transaction], key: str) -> bool:
        """Within the longest window of the key and the allowed lateness."""
        spans = [f.seconds + f.delay_seconds for f in self.spec.features if isinstance(f, Window) and f.key == key]
        seconds = max(spans, default=1) + self.spec.allowed_lateness_seconds
        return then.event_time_us > max(t.event_time_us for t in kept) - seconds * SECOND_US

    def value(self, feature: Feature, now: Transaction) -> float:
        if isinstance(feature, Window):
            return self.window(feature, now, self.kept[feature.key, getattr(now, feature.key)])
        if isinstance(feature, Daily):
            table = self.daily.get(feature.name)
            return table.lookup(now.event_time_us, getattr(now, feature.key)) if table else math.nan
        return self.state(feature, now, self.accepted[now.user_id])

    def window(self, feature: Window, now: Transaction, kept: list[Transaction]) -> float:
        if self.is_too_late(now, kept):
            return math.nan
        high = now.event_time_us - feature.delay_seconds * SECOND_US
        low = high - feature.seconds * SECOND_US
        inside = [t for t in [*kept, now] if low < t.event_time_us <= high]
        if feature.aggregate == "count":
            return len(inside)
        if feature.aggregate == "distinct":
            return len({getattr(t, feature.column) for t in inside})
        if feature.aggregate == "same":
            return sum(getattr(t, feature.column) == getattr(now, feature.column) for t in inside)
        if not inside:
            return math.nan
        if feature.aggregate == "mean":
            return sum(t.amount_cents for t in inside) / len(inside) / 100
        allowed_us = feature.delay_seconds * SECOND_US
        in_time = [self.fraud_known_us.get(t.transaction_id, math.inf) - t.event_time_us <= allowed_us for t in inside]
        return sum(in_time) / len(inside)

    def state(self, feature: State, now: Transaction, mine: list[Transaction]) -> float:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now.event_time_us)
        if feature.kind == "amount":
            return now.amount_cents / 100
        if feature.kind == "hour_of_day":
            return moment.hour
        if feature.kind == "is_weekend":
            return moment.strftime("%a") in ("Sat", "Sun")
        if feature.kind == "is_night":
            return moment.hour in (0, 1, 2, 3, 4, 5, 6)
        if feature.kind == "first_seen":
            known: list[str] = []
            for value in [getattr(t, feature.column) for t in mine]:
                if value not in known:
                    known = [*known, value][-self.spec.max_values :]
            return getattr(now, feature.column) not in known
        if feature.kind == "amount_ratio":
            total = sum(t.amount_cents for t in mine)
            return now.amount_cents / (total / len(mine)) if total > 0 else math.nan
        if not mine:
            return math.nan
        last = max(enumerate(mine), key=lambda place: (place[1].event_time_us, place[0]))[1]
        seconds = (now.event_time_us - last.event_time_us) / SECOND_US
        if feature.kind == "seconds_since_last":
            return seconds
        distance = distance_km(last.location, now.location)
        return math.nan if distance is None else distance / max(abs(seconds), 1.0) * 3600.0


def naive_features(log: list[Transaction], spec: FeatureSpec, daily: Mapping[str, DailyTable]) -> list[Answer]:
    """The oracle's answer to each transaction of an arrival log."""
    naive = Naive(spec, daily)
    return [naive.update(transaction) for transaction in log]
