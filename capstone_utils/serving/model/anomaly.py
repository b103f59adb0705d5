"""Anomaly scores: the distance of a transaction's features from honest ones.

An anomaly score needs no label to learn. Each feature adds -log of the share of honest transactions that lie as far out
or farther, on the side where the value lies. Source: Z. Li, Y. Zhao, X. Hu, N. Botta, C. Ionescu, G. H. Chen: ECOD:
Unsupervised Outlier Detection Using Empirical Cumulative Distribution Functions, IEEE TKDE 35 (2022); there the side is
chosen once for all features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from capstone_utils.ingestion.arrays import Array, Floats

STEPS = 48  # on each side, from one transaction up to half of them, each step by the same factor


class AnomalyDetector:
    """A sum of one step function per feature; missing values add nothing.

    `cuts` and `heights` hold one array per feature. A value at or above a cut, and below the next, adds that cut's
    height. A value below the first cut adds `highest`.
    """

    def __init__(
        self, features: Sequence[str], cuts: Sequence[Floats], heights: Sequence[Floats], highest: float
    ) -> None:
        self.features = tuple(features)
        self.cuts = [np.asarray(each, dtype=float) for each in cuts]
        self.heights = [np.asarray(each, dtype=float) for each in heights]
        self.highest = float(highest)
        self._starts = np.cumsum([0, *map(len, self.cuts)])
        self._flat = np.concatenate(self.cuts), np.concatenate(self.heights)

    def score(self, rows: Floats) -> Floats:
        """The anomaly score of each row, shape (rows,), for an array of shape (rows, features)."""
        return np.asarray(_score(np.ascontiguousarray(rows, dtype=float), self._starts, *self._flat, self.highest))

    def parts(self, row: Sequence[float]) -> dict[str, float]:
        """The part of the score that each feature of one row adds."""
        alone = np.full((len(self.features), len(self.features)), np.nan)
        np.fill_diagonal(alone, row)
        return dict(zip(self.features, self.score(alone).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, from which `from_dict` makes the same object."""
        functions = {
            name: {"cuts": cuts.tolist(), "heights": heights.tolist()}
            for name, cuts, heights in zip(self.features, self.cuts, self.heights, strict=True)
        }
        return {"highest": self.highest, "features": functions}

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> AnomalyDetector:
        """The object that `to_dict` described."""
        functions = kept["features"]
        cuts, heights = ([each[part] for each in functions.values()] for part in ("cuts", "heights"))
        return cls(tuple(functions), cuts, heights, kept["highest"])


def fit_anomaly_detector(features: Sequence[str], rows: Array) -> AnomalyDetector:
    """The detector of these honest transactions, an array of shape (rows, features)."""
    steps = [_steps(column[~np.isnan(column)]) for column in np.asarray(rows, dtype=float).T]
    return AnomalyDetector(
        features, [cuts for cuts, _ in steps], [heights for _, heights in steps], np.log(len(rows) + 2)
    )


def _steps(values: Floats) -> tuple[Floats, Floats]:
    """Cuts and heights of one feature: dense in the tails, where it matters, and sparse in the middle."""
    values, count = np.sort(values), len(values)
    if not count:
        return np.array([]), np.array([])
    ranks = np.unique(np.geomspace(1, (count + 1) // 2, STEPS).astype(int)) - 1
    cuts = np.unique(np.concatenate([values[ranks], values[count - 1 - ranks]]))
    beyond = np.nextafter(cuts[-1], np.inf)  # from here on, no transaction was as far out
    cuts = np.append(cuts, beyond)
    as_low = np.searchsorted(values, cuts, side="right")
    as_high = count - np.searchsorted(values, cuts, side="left")
    return cuts, -np.log((np.minimum(as_low, as_high) + 1) / (count + 2))


@numba.njit(cache=True, nogil=True)
def _score(rows, starts, cuts, heights, highest):  # type: ignore[no-untyped-def]
    scores = np.zeros(len(rows))
    for number in range(len(rows)):
        for column in range(rows.shape[1]):
            value, low, high = rows[number, column], starts[column], starts[column + 1]
            if np.isnan(value) or low == high:
                continue
            first = low
            while low < high:  # the first cut above the value
                middle = (low + high) // 2
                if cuts[middle] <= value:
                    low = middle + 1
                else:
                    high = middle
            scores[number] += highest if low == first else heights[low - 1]
    return scores
