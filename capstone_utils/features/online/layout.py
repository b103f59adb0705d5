"""The order of a transaction's values, mapped to the spec's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from capstone_utils.features.moment import MOMENT
from capstone_utils.features.plan import KeyPlan
from capstone_utils.features.spec import HISTORY, Daily, Feature, FeatureSpec, State, Window
from capstone_utils.transaction import Transaction

Getter = Callable[[Sequence[Any]], tuple[Any, ...]]


def layout(spec: FeatureSpec, plans: Sequence[KeyPlan]) -> list[tuple[str, object]]:
    """The meaning of each value: moment, history, first-seen flags, daily values, then the windows by plan."""
    states = [feature for feature in spec.features if isinstance(feature, State)]
    slots: list[tuple[str, object]] = [("moment", f.name) for f in states if f.kind in MOMENT]
    if any(f.kind in HISTORY for f in states):
        slots += [("history", kind) for kind in HISTORY]
    slots += [("first_seen", column) for column in spec.known_columns]
    slots += [("daily", f.name) for f in spec.daily]
    return slots + [(plan.key, place) for plan in plans for place in range(len(plan.slots))]


def in_order(spec: FeatureSpec, plans: Sequence[KeyPlan]) -> Getter:
    """A function that puts values, which stand as `layout` lists them, into the spec's order."""

    def slot(feature: Feature) -> tuple[str, object]:
        if isinstance(feature, Daily):
            return "daily", feature.name
        if isinstance(feature, Window):
            return feature.key, next(plan for plan in plans if plan.key == feature.key).place(feature)
        if feature.kind in MOMENT:
            return "moment", feature.name
        return ("history", feature.kind) if feature.kind in HISTORY else ("first_seen", feature.column)

    slots = layout(spec, plans)
    return tuple_getter([slots.index(slot(feature)) for feature in spec.features])


def texts_getter(columns: Sequence[str]) -> Callable[[Transaction], tuple[str, ...]]:
    """A function that returns a transaction's texts in these columns."""
    if all(column in Transaction._fields for column in columns):
        return tuple_getter([Transaction._fields.index(column) for column in columns])
    return lambda transaction: tuple(getattr(transaction, column) for column in columns)


def tuple_getter(places: Sequence[int]) -> Getter:
    """A function that returns a sequence's values at these places, always as a tuple."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda sequence: tuple(sequence[place] for place in places)
