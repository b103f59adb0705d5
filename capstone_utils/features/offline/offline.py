"""Offline features: an arrival-ordered frame in, a frame of features out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.moment import MOMENT
from capstone_utils.features.offline.history import history_values
from capstone_utils.features.offline.windows import DUPLICATE, KEPT, window_values
from capstone_utils.features.plan import key_plan, other_keys
from capstone_utils.features.spec import SPEC, FeatureSpec, State
from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers
from capstone_utils.ingestion.places import distance_km
from capstone_utils.transaction import category_of


def offline_features(
    frame: pd.DataFrame,
    spec: FeatureSpec = SPEC,
    daily: Mapping[str, DailyTable] | None = None,
    labels: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The spec's features for each row of `frame`, float64, index kept; a duplicate's row is all NaN.

    `frame` holds one transaction per row in arrival order, with columns transaction_id, user_id, amount_cents,
    event_time_us, location, merchant, device. A row's features use only that row and the rows above it. A fraud rate
    also uses `labels` (transaction_id, is_fraud, known_at_us): each label known within the spec's label delay. The
    extra column `duplicate` marks rows whose transaction came before; without them, the rest is what the online state
    emits.
    """
    times, cents = (frame[column].to_numpy(dtype=np.int64) for column in ("event_time_us", "amount_cents"))
    facts = np.stack([times, cents, _reported(frame, spec, labels)]).astype(np.int64)
    ids, users = _codes(frame, ["transaction_id", "user_id"])
    status = np.full(len(frame), KEPT)
    columns: dict[str, Floats] = {}
    for key in ("user_id", *other_keys(spec)):
        plan = key_plan(spec, key)
        keys = users if key == "user_id" else _codes(frame, [key])[0]
        values = window_values(plan, keys, ids, facts, _codes(frame, plan.columns), status)
        columns |= {window.name: values[:, plan.place(window)] for window in spec.windows if window.key == key}
    columns |= _history(frame, spec, users, status, facts)
    duplicate = status == DUPLICATE
    for feature in spec.features:
        if isinstance(feature, State) and feature.kind in MOMENT:
            columns[feature.name] = np.where(duplicate, np.nan, MOMENT[feature.kind](cents, times))
    for feature in spec.daily:
        table = (daily or {}).get(feature.name)
        looked_up = np.nan if table is None else table.lookup_many(times, frame[feature.key])
        columns[feature.name] = np.where(duplicate, np.nan, looked_up)
    return pd.DataFrame({name: columns[name] for name in spec.names} | {"duplicate": duplicate}, index=frame.index)


def _reported(frame: pd.DataFrame, spec: FeatureSpec, labels: pd.DataFrame | None) -> Array:
    """A mask of the rows whose transaction was reported as fraud within the spec's label delay."""
    if labels is None or not spec.label_delay_us:
        return np.zeros(len(frame), dtype=bool)
    fraud = labels[labels["is_fraud"].astype(bool)]
    known_at = frame["transaction_id"].map(fraud.groupby("transaction_id")["known_at_us"].min())
    reported: Booleans = (known_at - frame["event_time_us"] <= spec.label_delay_us).to_numpy()
    return reported


def _codes(frame: pd.DataFrame, columns: Sequence[str]) -> Integers:
    """The columns' values as integers from 0, shape (columns, rows)."""
    values = (frame["merchant"].map(category_of) if column == "category" else frame[column] for column in columns)
    codes = [pd.factorize(each)[0] for each in values]
    return np.array(codes, dtype=np.int64).reshape(len(columns), len(frame))


def _history(
    frame: pd.DataFrame, spec: FeatureSpec, users: Integers, status: Integers, facts: Integers
) -> dict[str, Floats]:
    """The columns that look back beyond any window, by name."""
    features = [f for f in spec.features if isinstance(f, State) and f.kind not in MOMENT]
    if not features:
        return {}
    location_codes, places = pd.factorize(frame["location"])
    distances = np.array([[distance_km(a, b) for b in places] for a in places], dtype=float)
    distances = distances.reshape(len(places), len(places))
    codes = _codes(frame, spec.known_columns)
    values, flags = history_values(users, status, facts, codes, location_codes, distances, spec.max_values)
    values |= zip(spec.known_columns, flags, strict=True)
    return {f.name: values[f.column or f.kind] for f in features}
