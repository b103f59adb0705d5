"""The same features over a whole history at once: a frame in arrival order in, a frame of features out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numba import njit

from capstone_utils.features.daily import DailyTable
from capstone_utils.features.spec import SECOND_US, SPEC, Daily, FeatureSpec, State
from capstone_utils.ingestion.places import distance_km

SEEN_COLUMNS = ("device", "merchant", "location")
DUPLICATE = "duplicate"


def offline_features(
    frame: pd.DataFrame, spec: FeatureSpec = SPEC, daily: Mapping[str, DailyTable] | None = None
) -> pd.DataFrame:
    """The spec's features for each row of `frame`, float64, index kept; a duplicate's row is all NaN.

    `frame` holds one transaction a row in arrival order, with columns transaction_id, user_id, amount_cents,
    event_time_us, location, merchant, device. A row's features use only the rows above it and itself. The extra
    column `duplicate` marks rows whose transaction had been seen; drop them to have what the online state emits.
    """
    users = pd.factorize(frame["user_id"])[0]
    order = np.argsort(users, kind="stable")  # one user after the other, arrival order kept
    text = {column: pd.factorize(frame[column]) for column in SEEN_COLUMNS}
    codes = np.stack([text[column][0][order] for column in SEEN_COLUMNS]).astype(np.int64)
    counted = np.array([SEEN_COLUMNS.index(column) for column in spec.text_columns], dtype=np.int64)
    windows, state, duplicate = _walk(
        users[order],
        pd.factorize(frame["transaction_id"])[0][order],
        frame["event_time_us"].to_numpy()[order],
        frame["amount_cents"].to_numpy()[order],
        codes,
        codes.max(axis=1, initial=-1) + 1,
        counted,
        np.array(spec.windows, dtype=np.int64) * SECOND_US,
        spec.allowed_lateness_seconds * SECOND_US,
        spec.retention_us,
        _distances(list(text["location"][1])),
    )
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    columns = _columns(frame, spec, daily or {}, windows[:, :, back], state[:, back])
    result = pd.DataFrame(columns, index=frame.index)
    result.loc[duplicate[back], list(spec.names)] = np.nan
    return result.assign(duplicate=duplicate[back])


def _columns(
    frame: pd.DataFrame, spec: FeatureSpec, daily: Mapping[str, DailyTable], windows: np.ndarray, state: np.ndarray
) -> dict[str, np.ndarray]:
    times = frame["event_time_us"].to_numpy()
    cents = frame["amount_cents"].to_numpy()
    kinds = {
        "amount": cents / 100,
        "hour_of_day": (times // (3600 * SECOND_US) % 24).astype(float),
        "seconds_since_last": state[0],
        "speed_kmh": state[1],
        "amount_ratio": state[2],
    } | {column: state[3 + index] for index, column in enumerate(SEEN_COLUMNS)}
    columns = {}
    for feature in spec.features:
        if isinstance(feature, Daily):
            table = daily.get(feature.name)
            missing = np.full(len(frame), np.nan)
            columns[feature.name] = missing if table is None else table.lookup_many(times, frame[feature.key])
        elif isinstance(feature, State):
            columns[feature.name] = kinds[feature.column or feature.kind]
        else:
            window = windows[spec.windows.index(feature.seconds)]
            if feature.aggregate == "count":
                columns[feature.name] = window[0]
            elif feature.aggregate == "mean":
                columns[feature.name] = window[1] / window[0] / 100
            else:
                columns[feature.name] = window[2 + spec.text_columns.index(feature.column)]
    return columns


def _distances(places: list[str]) -> np.ndarray:
    """Kilometres between each two places, NaN where one is unknown; shape (places, places)."""
    known = [[distance_km(a, b) for b in places] for a in places]
    return np.array(known, dtype=float).reshape(len(places), len(places))


@njit(cache=True)
def _walk(users, ids, times, cents, codes, sizes, counted, widths, lateness, retention, distances):  # type: ignore[no-untyped-def]
    """Walk each user's rows in arrival order; for each row look back over what had arrived.

    Returns windows (len(widths), 2 + len(counted), n): count, sum of cents, distinct values; state (6, n): seconds
    since last, speed, amount ratio, first-seen flags; duplicate (n,).
    """
    n = len(times)
    windows = np.full((len(widths), 2 + len(counted), n), np.nan)
    state = np.full((6, n), np.nan)
    duplicate = np.zeros(n, np.bool_)
    accepted = np.empty(n, np.int64)  # rows that changed the user's state
    high = np.empty(n, np.int64)  # the greatest event time among them so far
    last_of_id = np.full(n, -1, np.int64)
    seen = np.full((len(codes), sizes.max() if n else 0), -1, np.int64)
    mark = np.full((len(widths), len(counted), sizes.max() if n else 0), -1, np.int64)
    begin, k = 0, 0
    last, total_count, total_cents = -1, 0, 0
    for i in range(n):
        if i == 0 or users[i] != users[i - 1]:
            begin, k, last, total_count, total_cents = i, i, -1, 0, 0
        before = last_of_id[ids[i]]
        latest = times[last] if last >= 0 else 0
        if before >= begin and times[before] > latest - retention:
            duplicate[i] = True
            continue
        for c in range(len(codes)):
            state[3 + c, i] = 0.0 if seen[c, codes[c, i]] >= begin else 1.0
        if last >= 0:
            seconds = (times[i] - latest) / 1_000_000
            state[0, i] = seconds
            state[1, i] = distances[codes[2, last], codes[2, i]] / max(abs(seconds), 1.0) * 3600.0
            if times[i] < latest - lateness:
                if total_cents > 0:
                    state[2, i] = cents[i] / (total_cents / total_count)
                continue
        if total_cents > 0:
            state[2, i] = cents[i] / (total_cents / total_count)
        accepted[k] = i
        high[k] = times[i] if last < 0 else max(times[i], latest)
        k += 1
        last_of_id[ids[i]] = i
        for c in range(len(codes)):
            seen[c, codes[c, i]] = i
        total_count += 1
        total_cents += cents[i]
        if last < 0 or times[i] >= latest:
            last = i
        windows[:, :, i] = 0.0
        j = k - 1
        while j >= begin and high[j] > times[i] - widths[-1]:
            row = accepted[j]
            if times[row] <= times[i]:
                for w in range(len(widths)):
                    if times[row] > times[i] - widths[w]:
                        windows[w, 0, i] += 1
                        windows[w, 1, i] += cents[row]
                        for d in range(len(counted)):
                            code = codes[counted[d], row]
                            if mark[w, d, code] != i:
                                mark[w, d, code] = i
                                windows[w, 2 + d, i] += 1
            j -= 1
    return windows, state, duplicate
