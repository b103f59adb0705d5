"""Pictures of notebook 4: the model's quality by labels that have arrived."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, RED, describe


def draw_false_positives(rates: pd.Series) -> Figure:
    """The share of legitimate transactions that were refused, by kind of behaviour."""
    figure, axes = plt.subplots(figsize=(9, 0.6 + 0.42 * len(rates)))
    bars = axes.barh(list(rates.index), rates, color=AMBER)
    axes.bar_label(bars, fmt="{:.2%}", padding=4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
    axes.set(title="Honest payments called fraud")
    axes.margins(x=0.15)
    return describe(figure, f"Share of honest payments called fraud, by behaviour; the highest is {rates.index[-1]}.")


def draw_closed_loop(
    known: pd.DataFrame, truth: pd.DataFrame, events: Sequence[tuple[int, str]], drift_day: int
) -> Figure:
    """Recall as known and as it was, and what the gauges of drift said, with each event marked.

    `known` has a row a day, as `Known` names its columns; `truth` the frauds of each day and those that were caught.
    """
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(10, 6.4), height_ratios=(3, 2))
    sums = truth.rolling(7, min_periods=3).sum()
    week = sums["caught"] / sums["frauds"]
    top.plot(week.index, week, color=MUTED, linestyle="--", label="recall in truth, last 7 days")
    top.plot(known["day"], known["recall"], color=BLUE, linewidth=2.5, label="recall by labels, last settled week")
    top.plot(known["day"], known["estimate"], color=AMBER, label="recall as the probabilities alone estimate it")
    top.plot(
        known["day"], known["precision"], color=PURPLE, linewidth=1, label="precision by labels, last settled week"
    )
    top.set(title="What is true, what the bank knows, what the model believes", ylim=(0.3, 1.14))
    top.set_yticks([0.4, 0.6, 0.8, 1.0])
    top.legend(loc="lower left", ncols=2)
    bottom.plot(known["day"], known["missed"], color=RED, linewidth=2.5, label="reported frauds that were missed")
    bottom.plot(known["day"], known["inputs"], color=GREEN, label="features and scores, the largest of all")
    bottom.axhline(1, color=INK, linewidth=0.8)
    bottom.text(known["day"].iloc[0], 1.05, "alarm", color=INK, fontsize=9)
    bottom.set(title="Drift gauges, as shares of their limits", ylim=(0, 2.1), xlabel="day of the stream")
    bottom.legend(loc="upper right")
    marked = [(drift_day, "a new fraud begins"), *events]
    for number, (day, _) in enumerate(marked, start=1):
        for axes in (top, bottom):
            axes.axvline(day, color=INK, linestyle=":", linewidth=1)
        top.text(day, 1.04 + 0.045 * (number % 2), f" {number}", color=INK, fontsize=10, weight="bold")
    figure.supxlabel("   ".join(f"{number} {text}" for number, (_, text) in enumerate(marked, start=1)), fontsize=9)
    last_day, last = marked[-1]
    return describe(
        figure,
        "Recall by labels, in truth and as estimated, precision, and two drift gauges, by day, with "
        f"{len(marked)} events marked, from the new fraud on day {drift_day} to day {last_day}, {last}.",
    )
