"""Pictures of notebook 4: the model's quality by labels that have arrived."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, MUTED, RED, describe


def draw_quality_over_time(days: pd.DataFrame, drift_day: int) -> Figure:
    """Precision, recall and the share of labels that have arrived, by day; `days` is from `quality_by_day`."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(9, 4), height_ratios=(3, 1))
    top.plot(days.index, days["precision"], marker="o", color=BLUE, label="precision, where all labels are known")
    top.plot(days.index, days["recall"], marker="o", color=GREEN, label="recall, among frauds reported so far")
    top.axvline(drift_day, color=RED, linestyle="--")
    top.text(drift_day, 0.03, " a new kind of fraud", color=RED, fontsize=9)
    top.set(title="Quality by day of the payment, as far as labels have arrived", ylim=(0, 1.05))
    top.legend(loc="lower left")
    bottom.bar(days.index, days["labels_known"], color=MUTED)
    bottom.set(ylabel="labels\nknown", ylim=(0, 1.05), xlabel="day of the stream")
    return describe(
        figure, f"Precision, recall and the share of labels known, by day; new fraud begins on day {drift_day}."
    )


def draw_false_positives(rates: pd.Series) -> Figure:
    """The share of legitimate transactions that were refused, by kind of behaviour."""
    figure, axes = plt.subplots(figsize=(9, 0.6 + 0.42 * len(rates)))
    bars = axes.barh(list(rates.index), rates, color=AMBER)
    axes.bar_label(bars, fmt="{:.2%}", padding=4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.1%}")
    axes.set(title="Honest payments called fraud")
    axes.margins(x=0.15)
    return describe(figure, f"Share of honest payments called fraud, by behaviour; the highest is {rates.index[-1]}.")
