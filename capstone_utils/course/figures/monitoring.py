"""Pictures of notebook 4: alerts over time, and what the labels say once they arrive."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, MUTED, RED

STATES = {"inactive": GREEN, "pending": AMBER, "firing": RED}


def draw_alert_states(history: pd.DataFrame) -> Figure:
    """Each alert's state along the notebook's clock; `history` has columns second, alert, state."""
    names = list(dict.fromkeys(history["alert"]))
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.5 * len(names)))
    for row, name in enumerate(names):
        mine = history[history["alert"] == name].sort_values("second")
        ends = [*mine["second"].iloc[1:], mine["second"].iloc[-1] + 1]
        for start, end, state in zip(mine["second"], ends, mine["state"], strict=True):
            axes.barh(row, end - start, left=start, height=0.6, color=STATES[state])
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(title="Alerts, as Prometheus saw them", xlabel="seconds")
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in STATES.values()]
    axes.legend(handles, list(STATES), ncols=3, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def draw_quality_over_time(days: pd.DataFrame) -> Figure:
    """Precision and recall by day of the payment, and how many of its labels had arrived; indexed by day."""
    figure, (top, bottom) = plt.subplots(2, 1, sharex=True, figsize=(9, 4), height_ratios=(3, 1))
    top.plot(days.index, days["precision"], marker="o", color=BLUE, label="precision")
    top.plot(days.index, days["recall"], marker="o", color=GREEN, label="recall")
    top.set(title="Quality by day of the payment, as far as labels have arrived", ylim=(0, 1.05))
    top.legend(loc="lower left")
    bottom.bar(days.index, days["labels_known"], color=MUTED)
    bottom.set(ylabel="labels\nknown", ylim=(0, 1.05), xlabel="day of the stream")
    return figure
