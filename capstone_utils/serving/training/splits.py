"""Time splits: train on the past, test on a later future.

The test begins after the labels' delay. Nothing is shuffled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.arrays import Array
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.transaction import DAY_SECONDS

WARM_UP_DAYS, TRAIN_DAYS, VALIDATION_DAYS, TEST_DAYS = 7, 21, 7, 7


class InvalidSplit(CapstoneError):
    """A frame that cannot be split honestly; says why."""


class TooShort(InvalidSplit):
    """A frame that ends before the last labels of the split have arrived."""


@dataclass(frozen=True)
class Split:
    """Three frames one after the other in time, each `LABEL_DELAY_DAYS` away from the one before.

    Every label of `known` has arrived when the test weeks begin: a model may learn from it once all choices are made.
    """

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    known: pd.DataFrame  # from the first day of training to the last of validation, the gap between them included

    @property
    def after_training(self) -> pd.DataFrame:
        """The known rows after training: the gap and the validation weeks."""
        return self.known.iloc[len(self.train) :]

    def periods(self) -> pd.DataFrame:
        """One row per part: first and last day, transactions and reported fraud."""
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


def first_days(
    warm_up_days: int = WARM_UP_DAYS, train_days: int = TRAIN_DAYS, validation_days: int = VALIDATION_DAYS
) -> Array:
    """The days of the stream, from 0, on which training, validation and test begin. Shape (3,)."""
    return np.cumsum([warm_up_days, train_days + LABEL_DELAY_DAYS, validation_days + LABEL_DELAY_DAYS])


def split_by_time(
    frame: pd.DataFrame,
    warm_up_days: int = WARM_UP_DAYS,
    train_days: int = TRAIN_DAYS,
    validation_days: int = VALIDATION_DAYS,
    test_days: int = TEST_DAYS,
) -> Split:
    """The frame's training, validation and test weeks, a label delay apart.

    The first `warm_up_days` are left out: there, every device and merchant is new. `frame` has `timestamp` (epoch
    seconds, ascending), `is_fraud` (NaN: not known) and `label_known_at` (epoch seconds).

    Raises:
        InvalidSplit: when rows are not in time order or the frame is too short; also when a label of a part had not
            arrived in time for the use of that part.
    """
    times = frame["timestamp"].to_numpy()
    if len(times) == 0 or not np.all(np.diff(times) >= 0):
        raise InvalidSplit("rows are not in time order: a shuffled split lets a model learn from the future")
    gap = LABEL_DELAY_DAYS
    midnight = times[0] // DAY_SECONDS
    starts = first_days(warm_up_days, train_days, validation_days) + midnight
    ends = starts + np.array([train_days, validation_days, test_days])
    if times[-1] // DAY_SECONDS < ends[-1] + gap:
        have, need = int(times[-1] // DAY_SECONDS + 1 - midnight), int(ends[-1] + gap + 1 - midnight)
        raise TooShort(f"{have} days are too few: this split needs {need}, so that the last labels have arrived")
    bounds = np.searchsorted(times, np.concatenate([starts, ends]) * DAY_SECONDS)
    train, validation, test = (
        _labelled(frame.iloc[low:high], (end + gap) * DAY_SECONDS)
        for low, high, end in zip(bounds[:3], bounds[3:], ends, strict=True)
    )
    known = _labelled(frame.iloc[bounds[0] : bounds[4]], starts[2] * DAY_SECONDS)
    return Split(train, validation, test, known)


def weekly_folds(frame: pd.DataFrame, warm_up_days: int = WARM_UP_DAYS, **days: int) -> Iterator[Split]:
    """Weekly splits like that of `split_by_time`, as long as labels have arrived.

    They serve prequential evaluation, in which a model is trained again each week. `days` are the lengths of the parts.
    Source: A. P. Dawid: The Prequential Approach, Journal of the Royal Statistical Society A 147 (1984).

    Raises:
        InvalidSplit: when the frame is too short for a single fold, or cannot be split honestly.
    """
    yield split_by_time(frame, warm_up_days, **days)
    for later in count(warm_up_days + 7, 7):
        try:
            yield split_by_time(frame, later, **days)
        except TooShort:
            return


def _labelled(part: pd.DataFrame, used_at: float) -> pd.DataFrame:
    late = part["is_fraud"].isna() | ~(part["label_known_at"] <= used_at)
    if late.any():
        raise InvalidSplit(
            f"{int(late.sum())} labels had not arrived by {pd.Timestamp(used_at, unit='s')}, such as that of "
            f"transaction_id={part.loc[late, 'transaction_id'].iloc[0]}"
        )
    return part
