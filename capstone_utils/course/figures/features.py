"""Pictures of notebook 2: windows, freshness, and what goes wrong without care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from capstone_utils.course.figures.style import AMBER, BLUE, MUTED, RED, describe
from capstone_utils.ingestion.arrays import Array


def draw_window(seconds: Sequence[float], labels: Sequence[str], now: float, width_seconds: float) -> Figure:
    """A time line of one user's payments with the window (now - width, now] shaded."""
    figure, axes = plt.subplots(figsize=(9, 1.9))
    axes.axvspan(now - width_seconds, now, color=BLUE, alpha=0.12)
    axes.axvline(now - width_seconds, color=BLUE, linestyle=":")
    axes.axvline(now, color=BLUE)
    near, high, last = 0.09 * max(width_seconds, max(seconds) - min(seconds)), False, -np.inf
    for second, label in zip(seconds, labels, strict=True):
        high, last = second - last < near and not high, second  # labels side by side stand at two heights
        inside = now - width_seconds < second <= now
        axes.plot(second, 0, "o", markersize=11, color=BLUE if inside else MUTED)
        axes.annotate(
            label,
            (second, 0),
            xytext=(0, 40 if high else 20),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    axes.text(now - width_seconds, -0.8, " open: exactly here is out", color=BLUE, fontsize=8.5, va="center")
    axes.text(now, -0.8, "closed: now is in ", color=BLUE, fontsize=8.5, va="center", ha="right")
    axes.set(title=f"The last {width_seconds:.0f} seconds at second {now:.0f}", xlabel="seconds", ylim=(-1.2, 2.1))
    axes.set_yticks([])
    axes.margins(x=0.08)
    axes.grid(visible=False)
    held = ", ".join(f"second {second:.0f}" for second in seconds if now - width_seconds < second <= now)
    return describe(figure, f"A time line of payments; in the window of {width_seconds:.0f} seconds lie: {held}.")


def draw_freshness(milliseconds: Array) -> Figure:
    """The age of payments at their features, with median and 99th percentile."""
    figure, axes = plt.subplots(figsize=(9, 2.8))
    median, high = np.percentile(milliseconds, [50, 99])
    axes.hist(milliseconds, bins=np.linspace(0, max(high * 1.3, 1), 60), color=BLUE)
    for value in (median, high):
        axes.axvline(value, color=RED, linestyle="--")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    for value, name, side in ((median, "median", 0.97), (high, "p99", 0.86)):
        axes.text(value, side, f" {name} {value:.0f} ms", transform=axes.get_xaxis_transform(), color=RED, va="top")
    axes.set(title="Freshness: from the payment to its features", xlabel="milliseconds", ylabel="payments")
    return describe(
        figure,
        f"Ages of payments when their features are ready: median {median:.0f} ms, 99 of 100 below {high:.0f} ms.",
    )


def draw_features_by_label(frame: pd.DataFrame, features: Sequence[str]) -> Figure:
    """The share of payments at each value, fraud beside legitimate; the last bar holds all that is larger."""
    figure, panels = plt.subplots(1, len(features), figsize=(10, 2.8))
    known = frame[frame["is_fraud"].notna()]
    for axes, name in zip(panels, features, strict=True):
        high = max(known.loc[known["is_fraud"] == 1, name].quantile(0.98), 2)
        counts = bool((known[name] % 1 == 0).all())
        bins = np.arange(0.5, min(np.ceil(high), 12) + 1.5) if counts else np.linspace(0, high, 16)
        values = [known.loc[known["is_fraud"] == label, name].clip(upper=bins[-1] - 1e-9) for label in (0, 1)]
        weights = [np.full(len(each), 1 / len(each)) for each in values]
        axes.hist(values, bins=bins, weights=weights, color=[BLUE, AMBER])
        last = int(bins[-1]) if counts else round(bins[-2])
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(
            f"last bar: {last:,} and more" if counts else f"dollars; last bar: {last:,} and more", fontsize=8.5
        )
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panels[0].set_ylabel("share of its class")
    panels[-1].legend(["legitimate", "fraud"], fontsize=8)
    return describe(
        figure, f"Bars of legitimate beside fraudulent payments for {', '.join(features)}; the two overlap in each."
    )


def draw_wrong_shares(shares: Mapping[str, tuple[float, float]]) -> Figure:
    """The share of all and of fraudulent payments whose count is wrong, by careless window."""
    figure, axes = plt.subplots(figsize=(9, 0.7 + 0.55 * len(shares)))
    rows = np.arange(len(shares))
    for offset, part, color, label in ((-0.19, 0, BLUE, "all payments"), (0.19, 1, RED, "fraudulent payments")):
        bars = axes.barh(rows + offset, [pair[part] for pair in shares.values()], 0.36, color=color, label=label)
        axes.bar_label(bars, fmt="{:.1%}", padding=4, fontsize=9)
    axes.set_yticks(rows, list(shares))
    axes.legend(loc="lower right")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.invert_yaxis()
    axes.set(title="Payments whose 5-minute count is wrong", xlabel="share of payments", xlim=(0, 1.12))
    return describe(figure, f"Shares of all and of fraudulent payments with a wrong count, for {', '.join(shares)}.")
