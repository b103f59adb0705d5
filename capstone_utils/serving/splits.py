"""Time splits: train on the past, judge on a future that begins after the labels' delay. Nothing is shuffled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS

DAY_SECONDS = 86_400


class InvalidSplit(ValueError):
    """A frame that cannot be split honestly; says why."""


@dataclass(frozen=True)
class Split:
    """Three frames one after the other in time, each `LABEL_DELAY_DAYS` away from the one before."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame

    def periods(self) -> pd.DataFrame:
        """First and last day, transactions and reported fraud of each part, one row a part."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return pd.DataFrame(
            {
                name: {
                    "from": pd.Timestamp(part["timestamp"].iloc[0], unit="s").date(),
                    "to": pd.Timestamp(part["timestamp"].iloc[-1], unit="s").date(),
                    "transactions": len(part),
                    "fraud": int(part["is_fraud"].sum()),
                }
                for name, part in parts.items()
            }
        ).T


def split_by_time(
    frame: pd.DataFrame,
    warm_up_days: int = 7,
    train_days: int = 21,
    validation_days: int = 7,
    test_days: int = 7,
) -> Split:
    """The frame's training, validation and test weeks, with the label delay as a gap between each two.

    The first `warm_up_days` are left out: there, every device and merchant is new. `frame` has `timestamp` (epoch
    seconds, ascending), `is_fraud` (NaN: not known) and `label_known_at` (epoch seconds).

    Raises:
        InvalidSplit: when rows are not in time order, the frame is too short, or a part holds a label that had not
            arrived when that part would have been used.
    """
    times = frame["timestamp"].to_numpy()
    if len(times) == 0 or not np.all(np.diff(times) >= 0):
        raise InvalidSplit("rows are not in time order: a shuffled split lets a model learn from the future")
    gap = LABEL_DELAY_DAYS
    midnight = times[0] // DAY_SECONDS
    starts = np.cumsum([warm_up_days, train_days + gap, validation_days + gap]) + midnight
    ends = starts + np.array([train_days, validation_days, test_days])
    if times[-1] // DAY_SECONDS < ends[-1] + gap:
        have, need = int(times[-1] // DAY_SECONDS + 1 - midnight), int(ends[-1] + gap + 1 - midnight)
        raise InvalidSplit(f"{have} days are too few: this split needs {need}, so that the last labels have arrived")
    parts = [
        _labelled(frame[(times >= start * DAY_SECONDS) & (times < end * DAY_SECONDS)], (end + gap) * DAY_SECONDS)
        for start, end in zip(starts, ends, strict=True)
    ]
    return Split(*parts)


def _labelled(part: pd.DataFrame, used_at: float) -> pd.DataFrame:
    late = part["is_fraud"].isna() | ~(part["label_known_at"] <= used_at)
    if late.any():
        raise InvalidSplit(
            f"{int(late.sum())} labels had not arrived by {pd.Timestamp(used_at, unit='s')}, such as that of "
            f"transaction_id={part.loc[late, 'transaction_id'].iloc[0]}"
        )
    return part
