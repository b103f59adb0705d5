"""Has what the model sees moved? Population stability index and Kolmogorov-Smirnov distance, feature by feature."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import ks_2samp

from capstone_utils.monitoring.panel import COLORS, GRID, INK, MUTED

BINS = 10
# Below 500 rows chance alone moves the index: with n and m rows in b bins it is about (b - 1) * (1/n + 1/m) when
# nothing changed. B. Yurdakul, J. Naranjo: Statistical properties of the population stability index, Journal of Risk
# Model Validation 14 (2020).
ROWS_NEEDED = 500
# A convention of credit scoring, not a test: N. Siddiqi, Credit Risk Scorecards, Wiley 2006.
SHIFTED, DRIFTED = 0.1, 0.25
VERDICTS = {
    "stable": COLORS["semi-dark-green"],
    "shifted": COLORS["semi-dark-orange"],
    "drifted": COLORS["semi-dark-red"],
}
MISSING = "missing"


def drift_report(reference: pd.DataFrame, recent: pd.DataFrame) -> pd.DataFrame:
    """One row a column of `reference`, most drifted first: feature, psi, ks, p, verdict.

    `psi` is the population stability index over the tenths of the reference; `ks` the largest gap between the two
    distribution functions, of what is not missing, and `p` how often chance alone makes such a gap (tiny for any
    difference once rows are many: judge by the sizes). `verdict` is "stable" (psi below 0.1), "shifted" or "drifted"
    (0.25 and more).

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
        psi = population_stability_index(before, now)
        verdict = "stable" if psi < SHIFTED else "shifted" if psi < DRIFTED else "drifted"
        rows.append((feature, psi, *_kolmogorov_smirnov(before, now), verdict))
    report = pd.DataFrame(rows, columns=["feature", "psi", "ks", "p", "verdict"])
    return report.sort_values("psi", ascending=False, ignore_index=True)


def population_stability_index(reference: np.ndarray, recent: np.ndarray) -> float:
    """sum((q - p) * ln(q / p)) over bins, p the reference's share of a bin and q the recent one's; 0 when equal.

    The bins are the reference's tenths, one below its least value, and one for what is missing (NaN). Each bin counts
    half a row more than it has, so that an empty one makes the index large and not infinite.

    Source: Siddiqi 2006, as "system stability report"; it is the sum of both Kullback-Leibler divergences.

    >>> ages = np.arange(1_000.0)
    >>> round(population_stability_index(ages, ages), 6), population_stability_index(ages, ages + 100) > 0.1
    (0.0, True)
    """
    counts = bin_counts(reference, recent)
    seen = counts[counts.sum(axis=1) > 0] + 0.5
    shares = seen / seen.sum()
    return float(((shares["recent"] - shares["reference"]) * np.log(shares["recent"] / shares["reference"])).sum())


def bin_counts(reference: np.ndarray, recent: np.ndarray) -> pd.DataFrame:
    """Rows in each bin (index: what the bin holds) of the two samples (columns reference, recent)."""
    known = reference[~np.isnan(reference)]
    least = known.min() if len(known) else 0.0
    tenths = np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1]) if len(known) else ()
    edges = np.unique([np.nextafter(least, -np.inf), *tenths])
    upper = [f"to {edge:.4g}" for edge in edges[1:]]
    names = [f"under {least:.4g}", *upper, f"over {edges[-1]:.4g}", MISSING]
    columns = {}
    for name, values in (("reference", reference), ("recent", recent)):
        places = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values))
        columns[name] = np.bincount(places, minlength=len(names))
    return pd.DataFrame(columns, index=names)


def draw_drift(reference: pd.DataFrame, recent: pd.DataFrame, report: pd.DataFrame, most: int = 6) -> Figure:
    """The index of every feature beside its limits, and the `most` drifted ones bin by bin."""
    shown = report.head(most)
    figure = plt.figure(figsize=(13, max(3.2, 0.27 * len(report) + 1.2)), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2))
    _draw_indices(left.subplots(), report)
    columns = min(len(shown), 3)
    grid = right.subplots(-(-len(shown) // columns), columns, squeeze=False).flat
    for (_, row), axes in zip(shown.iterrows(), grid, strict=False):  # rows first: where they end, no axes is taken
        before, now = reference[row["feature"]].to_numpy(float), recent[row["feature"]].to_numpy(float)
        _draw_bins(axes, bin_counts(before, now), f"{row['feature']}: {row['psi']:.2f}", VERDICTS[row["verdict"]])
    for axes in list(grid):
        axes.axis("off")
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in (MUTED, COLORS["semi-dark-blue"])]
    right.legend(handles, ["reference", "recent"], ncols=2, loc="outside lower right", frameon=False)
    return figure


def _numbers(name: str, frame: pd.DataFrame, feature: str) -> np.ndarray:
    if feature not in frame.columns:
        raise ValueError(f"{name} lacks the column {feature!r}; it has {', '.join(map(str, frame.columns))}")
    if not pd.api.types.is_numeric_dtype(frame[feature]):
        raise ValueError(f"{name}[{feature!r}] holds {frame[feature].dtype}, not numbers; leave it out or encode it")
    return frame[feature].to_numpy(float, na_value=np.nan)


def _kolmogorov_smirnov(reference: np.ndarray, recent: np.ndarray) -> tuple[float, float]:
    known = [values[~np.isnan(values)] for values in (reference, recent)]
    if not all(map(len, known)):
        return float("nan"), float("nan")
    result = ks_2samp(*known, method="asymp")
    return float(result.statistic), float(result.pvalue)


def _draw_indices(axes: Axes, report: pd.DataFrame) -> None:
    colors = [VERDICTS[verdict] for verdict in report["verdict"]]
    axes.barh(report["feature"], report["psi"], color=colors, height=0.7)
    axes.invert_yaxis()
    for limit, verdict, side in ((SHIFTED, "shifted", "right"), (DRIFTED, "drifted", "left")):
        color, top = VERDICTS[verdict], axes.get_xaxis_transform()
        axes.axvline(limit, color=color, linestyle=(0, (5, 3)), linewidth=1.3)
        axes.text(limit, 1.0, verdict, transform=top, ha=side, fontsize=8, color=color)
    axes.set_xlim(0, max(1.1 * report["psi"].max(), 1.4 * DRIFTED))
    axes.set_xlabel("population stability index")
    axes.tick_params(labelsize=8.5, length=0)
    axes.grid(axis="x", color=GRID)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
    axes.set_frame_on(False)


def _draw_bins(axes: Axes, counts: pd.DataFrame, title: str, color: str) -> None:
    seen = counts[counts.sum(axis=1) > 0]
    shares = 100 * seen / seen.sum()
    places = np.arange(len(shares))
    axes.bar(places - 0.2, shares["reference"], width=0.4, color=MUTED)
    axes.bar(places + 0.2, shares["recent"], width=0.4, color=COLORS["semi-dark-blue"])
    axes.set_title(title, loc="left", fontsize=9.5, weight="bold", color=color)
    axes.set_xticks(places, list(shares.index), rotation=60, ha="right", rotation_mode="anchor", fontsize=7, color=INK)
    axes.set_ylabel("% of payments", fontsize=8)
    axes.tick_params(labelsize=7.5, length=0)
    axes.grid(visible=False, axis="x")
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.set_frame_on(False)
