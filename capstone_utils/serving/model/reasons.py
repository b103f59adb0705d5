"""Reasons for a verdict in plain words: the contributions that weighed most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import xgboost as xgb

from capstone_utils.features.spec import SPEC, Feature, State, Window
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.transaction import DAY_SECONDS

KINDS = {
    "location": ("city", "cities"),
    "merchant": ("shop", "shops"),
    "device": ("device", "devices"),
    "category": ("kind of shop", "kinds of shop"),
}
STATES: dict[str, Callable[[float], str]] = {
    "amount": lambda value: f"an amount of {value:,.2f}",
    "hour_of_day": lambda value: f"at {value:.0f} o'clock UTC",
    "is_weekend": lambda value: "at the weekend" if value else "on a working day",
    "is_night": lambda value: "at night" if value else "by day",
    "seconds_since_last": lambda value: (
        f"{span(value)} after the customer's last payment"
        if value >= 0
        else f"{span(-value)} older than the customer's last payment"
    ),
    "speed_kmh": lambda value: f"{value:,.0f} km/h from where the customer paid last",
    "amount_ratio": lambda value: f"{value:.{1 if value >= 1 else 2}f} times the customer's mean amount",
}
DAILY: dict[str, Callable[[float], str]] = {
    "merchant_risk": lambda value: f"a shop of whose payments {value:.1%} were reported as fraud",
    "user_daily_transactions": lambda value: f"a customer of {value:.1f} payments a day",
}


class Reason(NamedTuple):
    """One feature's part in a verdict; `contribution` in log-odds, above 0: towards fraud."""

    feature: str
    value: float
    contribution: float
    text: str


def reasons(booster: xgb.Booster, features: Sequence[float], most: int = 3) -> list[Reason]:
    """At most `most` features that point to fraud, strongest first, one per topic.

    The contributions are XGBoost's own: exact Shapley values of the trees, in log-odds. Source: S. M. Lundberg et al.:
    From local explanations to global understanding with explainable AI for trees, Nature Machine Intelligence 2 (2020).
    """
    (parts,) = _contributions(booster, [features])
    return _strongest(list(booster.feature_names or ()), features, parts.tolist(), most)


def loudest(booster: xgb.Booster, rows: Sequence[Sequence[float]]) -> list[str]:
    """The name of the first of `reasons` for each row, "" where none points to fraud; many at once take a third."""
    names = booster.feature_names or []
    return [names[parts.argmax()] if parts.max() > 0 else "" for parts in _contributions(booster, rows)]


def _contributions(booster: xgb.Booster, rows: Sequence[Sequence[float]]) -> Floats:
    """Log-odds, shape (rows, features)."""
    matrix = xgb.DMatrix(np.array(rows, dtype=float), feature_names=booster.feature_names)
    parts: Floats = booster.predict(matrix, pred_contribs=True)[:, :-1]  # the last one is the bias
    return parts


def anomaly_reasons(parts: dict[str, float], features: Sequence[float], most: int = 3) -> list[Reason]:
    """The reasons for the fallback's verdict, from `AnomalyDetector.parts`."""
    return _strongest(list(parts), features, list(parts.values()), most)


def _strongest(names: Sequence[str], features: Sequence[float], parts: Sequence[float], most: int) -> list[Reason]:
    by_topic: dict[object, Reason] = {}
    for place in sorted(range(len(names)), key=lambda place: -parts[place]):
        if parts[place] <= 0 or len(by_topic) == most:
            break
        name, value = names[place], float(features[place])
        by_topic.setdefault(_topic(name), Reason(name, value, float(parts[place]), in_words(name, value)))
    return list(by_topic.values())


def in_words(name: str, value: float) -> str:
    """A feature's value as people say it.

    >>> in_words("unique_locations", 4.0)
    '4 cities in 5 minutes'
    >>> in_words("is_new_device", 1.0)
    'a device that this customer never used before'
    >>> in_words("amount_ratio", float("nan"))
    'amount_ratio not known yet'
    """
    feature = _FEATURES.get(name)
    if feature is None:
        return f"{name} of {value:g}"
    if math.isnan(value):
        return f"{name} not known yet"
    if isinstance(feature, Window):
        return _window(feature, value)
    if isinstance(feature, State) and feature.kind == "first_seen":
        one = KINDS[feature.column][0]
        return f"a {one} that this customer never used before" if value else f"a {one} that this customer has used"
    return STATES[feature.kind](value) if isinstance(feature, State) else DAILY[name](value)


def span(seconds: float) -> str:
    """A length of time in its largest sensible unit.

    >>> span(12), span(300), span(3600), span(200_000)
    ('12 seconds', '5 minutes', '1 hour', '2 days')
    """
    for size, unit in ((DAY_SECONDS, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size and not (unit == "day" and seconds < 2 * size):
            break
    else:
        size, unit = 1, "second"
    number = round(seconds / size)
    return f"{number} {unit}{'s' * (number != 1)}"


def _window(window: Window, value: float) -> str:
    period = span(window.seconds)
    if window.aggregate == "count":
        return f"{value:.0f} payment{'s' * (value != 1)} in {period}"
    if window.aggregate == "mean":
        return f"a mean amount of {value:,.2f} in {period}"
    if window.aggregate == "distinct":
        return f"{value:.0f} {KINDS[window.column][value != 1]} in {period}"
    if window.aggregate == "same":
        return f"{value:.0f} payment{'s' * (value != 1)} with this {KINDS[window.column][0]} in {period}"
    return f"{value:.1%} reported as fraud in {period}"


def _topic(name: str) -> object:
    """The topic of a feature: equal for windows of all lengths over one thing.

    The topic of all means is "amount".
    """
    feature = _FEATURES.get(name)
    if not isinstance(feature, Window):
        return name
    return "amount" if feature.aggregate == "mean" else (feature.aggregate, feature.column)


_FEATURES: dict[str, Feature] = {feature.name: feature for feature in SPEC.features}
