"""Drift of the model's inputs: population stability index and Kolmogorov-Smirnov distance, feature by feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.arrays import Floats, Integers
from capstone_utils.serving.reference import count, tenths

BATCH = frozenset(feature.name for feature in SPEC.daily)
# Below 500 rows chance alone moves the index: with n and m rows in b bins it is about (b - 1) * (1/n + 1/m) when
# nothing changed. B. Yurdakul, J. Naranjo: Statistical properties of the population stability index, Journal of Risk
# Model Validation 14 (2020).
ROWS_NEEDED = 500
# A convention of credit scoring, not a test: N. Siddiqi, Credit Risk Scorecards, Wiley 2006.
SHIFTED, DRIFTED = 0.1, 0.25
MISSING = "missing"


def drift_report(reference: pd.DataFrame, recent: pd.DataFrame) -> pd.DataFrame:
    """One row a column of `reference`, most drifted first: feature, psi, ks, p, status.

    `psi` is the population stability index over the tenths of the reference; `ks` the largest gap between the two
    distribution functions, of what is not missing, and `p` how often chance alone makes such a gap (tiny for any
    difference once rows are many: go by the sizes). `status` is "stable" (psi below 0.1), "shifted" or "drifted"
    (0.25 and more).

    A batch feature is compared by its missing share alone, as psi over two bins, without ks and p. Its table is made
    again each night, and then every value moves a little, though nobody pays otherwise than before.

    Args:
        reference: numbers as the model was trained on; scores may stand among them as a column.
        recent: the same columns, as seen lately; further columns are left alone.

    Raises:
        ValueError: for a column that is missing or holds no numbers, or for fewer than 500 rows on either side.
    """
    for name, frame in (("reference", reference), ("recent", recent)):
        if len(frame) < ROWS_NEEDED:
            raise ValueError(f"{name} has {len(frame)} rows; fewer than {ROWS_NEEDED} drift by chance alone")
    rows = []
    for feature in reference.columns:
        before, now = _numbers("reference", reference, feature), _numbers("recent", recent, feature)
        if feature in BATCH:
            before, now = (np.where(np.isnan(values), np.nan, 0.0) for values in (before, now))
        psi = population_stability_index(before, now)
        status = "stable" if psi < SHIFTED else "shifted" if psi < DRIFTED else "drifted"
        distance = (np.nan, np.nan) if feature in BATCH else _kolmogorov_smirnov(before, now)
        rows.append((feature, psi, *distance, status))
    report = pd.DataFrame(rows, columns=["feature", "psi", "ks", "p", "status"])
    return report.sort_values("psi", ascending=False, ignore_index=True)


def population_stability_index(reference: Floats, recent: Floats) -> float:
    """sum((q - p) * ln(q / p)) over bins, p the reference's share of a bin and q the recent one's; 0 when equal.

    The bins are the reference's tenths, one below its least value, and one for what is missing (NaN). Each bin counts
    half a row more than it has, so that an empty one makes the index large and not infinite.

    Source: Siddiqi 2006, as "system stability report"; it is the sum of both Kullback-Leibler divergences.

    >>> ages = np.arange(1_000.0)
    >>> round(population_stability_index(ages, ages), 6), population_stability_index(ages, ages + 100) > 0.1
    (0.0, True)
    """
    edges = tenths(reference)
    return float(index_of_counts(count(reference, edges), count(recent, edges)))


def index_of_counts(reference: Integers, recent: Integers) -> Floats:
    """The same index of counts in bins, along the last axis; bins that are empty on both sides are left out."""
    seen = reference + recent > 0
    p, q = (np.where(seen, counts + 0.5, 0.0) for counts in (reference, recent))
    p, q = p / p.sum(axis=-1, keepdims=True), q / q.sum(axis=-1, keepdims=True)
    terms = (q - p) * np.log(np.where(seen, q, 1.0) / np.where(seen, p, 1.0))
    index: Floats = terms.sum(axis=-1)
    return index


def bin_counts(reference: Floats, recent: Floats) -> pd.DataFrame:
    """Rows in each bin (index: what the bin holds) of the two samples (columns reference, recent)."""
    edges = tenths(reference)
    least = np.nextafter(edges[0], np.inf) + 0.0  # no "-0"
    names = [f"under {least:.4g}", *(f"to {edge:.4g}" for edge in edges[1:]), f"over {edges[-1]:.4g}", MISSING]
    columns = {}
    for name, values in (("reference", reference), ("recent", recent)):
        counts = count(values, edges)
        columns[name] = np.append(counts[: len(edges) + 1], counts[-1])
    return pd.DataFrame(columns, index=names)


def _numbers(name: str, frame: pd.DataFrame, feature: str) -> Floats:
    if feature not in frame.columns:
        raise ValueError(f"{name} lacks the column {feature!r}; it has {', '.join(map(str, frame.columns))}")
    if not pd.api.types.is_numeric_dtype(frame[feature]):
        raise ValueError(f"{name}[{feature!r}] holds {frame[feature].dtype}, not numbers; leave it out or encode it")
    numbers: Floats = frame[feature].to_numpy(float, na_value=np.nan)
    return numbers


def _kolmogorov_smirnov(reference: Floats, recent: Floats) -> tuple[float, float]:
    known = [values[~np.isnan(values)] for values in (reference, recent)]
    if not all(map(len, known)):
        return float("nan"), float("nan")
    result = ks_2samp(*known, method="asymp")
    return float(result.statistic), float(result.pvalue)
