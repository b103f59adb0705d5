"""The order of arrival: some transactions come late, some come twice."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.errors import InvalidValue


def arrive(
    frame: pd.DataFrame, late_share: float, duplicate_share: float, max_lateness_seconds: float, seed: int
) -> pd.DataFrame:
    """The rows of `frame` in order of arrival; rows are only moved and repeated, never changed.

    A late row comes at most `max_lateness_seconds` after its event time. A duplicate comes at most as long after its
    first copy. `frame` is sorted by event_time_us; the result's index counts from 0.

    Raises:
        InvalidValue: naming the argument, its value and what would be right.
    """
    for name, share in (("late_share", late_share), ("duplicate_share", duplicate_share)):
        if not 0 <= share <= 1:
            raise InvalidValue(f"{name}={share!r} is not a share (0 to 1)")
    if not max_lateness_seconds >= 0:
        raise InvalidValue(f"max_lateness_seconds={max_lateness_seconds!r} is negative")
    generator = np.random.default_rng(seed)
    late = generator.random(len(frame)) < late_share
    delay_us = (generator.random(len(frame)) * max_lateness_seconds * 1e6).astype(np.int64)
    arrival_us = frame["event_time_us"].to_numpy() + np.where(late, delay_us, 0)
    twice = np.flatnonzero(generator.random(len(frame)) < duplicate_share)
    again_us = arrival_us[twice] + (generator.random(len(twice)) * max_lateness_seconds * 1e6).astype(np.int64)
    row = np.concatenate([np.arange(len(frame)), twice])
    order = np.argsort(np.concatenate([arrival_us, again_us]), kind="stable")
    return frame.iloc[row[order]].reset_index(drop=True)
