"""The drift report as a picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, GRID, INK, MUTED, RED, describe
from capstone_utils.monitoring.drift.measures import DRIFTED, SHIFTED, bin_counts

STATUS_COLORS = {"stable": GREEN, "shifted": AMBER, "drifted": RED}


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
        _draw_bins(axes, bin_counts(before, now), f"{row['feature']}: {row['psi']:.2f}", STATUS_COLORS[row["status"]])
    for axes in list(grid):
        axes.axis("off")
    handles = [Rectangle((0, 0), 1, 1, color=color) for color in (MUTED, BLUE)]
    right.legend(handles, ["reference", "recent"], ncols=2, loc="outside lower right", frameon=False)
    return describe(
        figure,
        f"Stability index of {len(report)} features; the highest, {report['feature'].iloc[0]}, is drawn bin by bin.",
    )


def _draw_indices(axes: Axes, report: pd.DataFrame) -> None:
    colors = [STATUS_COLORS[status] for status in report["status"]]
    axes.barh(report["feature"], report["psi"], color=colors, height=0.7)
    axes.invert_yaxis()
    for limit, status, side in ((SHIFTED, "shifted", "right"), (DRIFTED, "drifted", "left")):
        color, top = STATUS_COLORS[status], axes.get_xaxis_transform()
        axes.axvline(limit, color=color, linestyle=(0, (5, 3)), linewidth=1.3)
        axes.text(limit, 1.0, status, transform=top, ha=side, fontsize=8, color=color)
    axes.set_xlim(0, max(1.1 * report["psi"].max(), 1.4 * DRIFTED))
    axes.set_xlabel("population stability index")
    axes.tick_params(labelsize=8.5, length=0)
    axes.grid(axis="x", color=GRID)
    axes.grid(visible=False, axis="y")
    axes.set_axisbelow(True)
    axes.set_frame_on(False)


def _draw_bins(axes: Axes, counts: pd.DataFrame, title: str, color: str) -> None:
    nonempty = counts[counts.sum(axis=1) > 0]
    shares = 100 * nonempty / nonempty.sum()
    places = np.arange(len(shares))
    axes.bar(places - 0.2, shares["reference"], width=0.4, color=MUTED)
    axes.bar(places + 0.2, shares["recent"], width=0.4, color=BLUE)
    axes.set_title(title, loc="left", fontsize=9.5, weight="bold", color=color)
    axes.set_xticks(places, list(shares.index), rotation=60, ha="right", rotation_mode="anchor", fontsize=7, color=INK)
    axes.set_ylabel("% of payments", fontsize=8)
    axes.tick_params(labelsize=7.5, length=0)
    axes.grid(visible=False, axis="x")
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.set_frame_on(False)
