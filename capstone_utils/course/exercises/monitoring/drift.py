"""The exercise of notebook 4 on the stability index."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.ingestion.arrays import Integers
from capstone_utils.monitoring.drift.measures import bin_counts, index_of_counts

BEFORE, NOW = np.array([70, 20, 10]), np.array([90, 60, 50])
NONE_NOW = np.array([100, 100, 0])


def _psi(psi: Callable[[Any, Any], float | None], before: pd.Series, now: pd.Series) -> str | None:
    answer = psi(BEFORE.copy(), NOW.copy())
    if answer is None:
        return None
    p, q = BEFORE / BEFORE.sum(), NOW / NOW.sum()
    right = float(((q - p) * np.log(q / p)).sum())
    counts = float(((NOW - BEFORE) * np.log(NOW / BEFORE)).sum())
    if math.isclose(answer, counts, rel_tol=1e-6):
        return f"{answer:.1f}: those are counts. There is twice as much now, and that is no drift: take shares."
    if answer < 0:
        return f"{answer:.3f} is negative. Where q is greater than p, ln(q / p) is positive, not ln(p / q)."
    half = float(index_of_counts(BEFORE, NOW))
    if not (math.isclose(answer, right, rel_tol=1e-6) or math.isclose(answer, half, rel_tol=1e-6)):
        return f"{answer:.3f} for the counts {BEFORE} and {NOW}; {right:.3f} is right."
    empty = psi(BEFORE.copy(), NONE_NOW.copy())
    if empty is None or not math.isfinite(empty):
        return f"{empty} where a bin is empty now. Give each bin half a payment more before you take shares."
    table = bin_counts(before.to_numpy(float), now.to_numpy(float))
    table = table[table.sum(axis=1) > 0]
    mine, theirs = psi(*_columns(table)), float(index_of_counts(*_columns(table)))
    if mine is not None and math.isclose(mine, theirs, abs_tol=1e-6):
        return ""
    return f"Of this run's scores you say {mine}, and the report {theirs:.5f}. Half a payment more in each bin?"


def _columns(table: pd.DataFrame) -> tuple[Integers, Integers]:
    return table["reference"].to_numpy(), table["recent"].to_numpy()


EXERCISES = (
    Exercise(
        id="4.6",
        objective="O4.5",
        stars=2,
        task="""Write the stability index. `before` and `now` are arrays: payments in each bin. Make shares of them, p
and q, and add up (q - p) x ln(q / p) over the bins. An empty bin must not break it: give each bin **half a payment**
more first.""",
        starter="""def psi(before, now):
    return None  # <- 0 when nothing has moved""",
        call='check("4.6", psi, before=reference["score"], now=recent["score"])',
        solution="""import numpy as np

def psi(before, now):
    p, q = (before + 0.5) / (before + 0.5).sum(), (now + 0.5) / (now + 0.5).sum()
    return ((q - p) * np.log(q / p)).sum()""",
        praise="One number for a whole distribution. It sees how many payments moved, and not which ones.",
        hints=("`before / before.sum()` makes shares of counts.", "`np.log` takes the logarithm of each bin."),
        wrong=(
            Wrong(
                """import numpy as np

def psi(before, now):
    return ((now - before) * np.log(now / before)).sum()""",
                "those are counts.",
            ),
            Wrong(
                """import numpy as np

def psi(before, now):
    p, q = (before + 0.5) / (before + 0.5).sum(), (now + 0.5) / (now + 0.5).sum()
    return ((q - p) * np.log(p / q)).sum()""",
                "is negative.",
            ),
            Wrong(
                """import numpy as np

def psi(before, now):
    p, q = before / before.sum(), now / now.sum()
    with np.errstate(divide="ignore"):
        return ((q - p) * np.log(q / p)).sum()""",
                "where a bin is empty now.",
            ),
        ),
        check=_psi,
    ),
)
