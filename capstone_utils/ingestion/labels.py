"""Labels as the bank gets them: fraud reported days later, sometimes never, and now and then wrongly."""

from __future__ import annotations

import pandas as pd

LABEL_DELAY_DAYS = 7  # after so many days without a report, a payment counts as legitimate


def labels_known_by(labels: pd.DataFrame, time_us: int) -> pd.DataFrame:
    """The rows of `labels` that had arrived by `time_us` (microseconds since 1970 UTC), that moment included."""
    return labels[labels["known_at_us"] <= time_us]
