"""Pictures of notebook 1: fraud that goes unseen, and the broker's flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, MUTED, RED
from capstone_utils.ingestion.arrays import Array


def draw_unseen(minutes: Mapping[str, Array], losses: Mapping[str, float]) -> Figure:
    """Left: the share of frauds still unseen after a time; right: the money lost after a card's first fraud."""
    figure, (left, right) = plt.subplots(1, 2, width_ratios=(3, 2))
    for (name, values), color in zip(minutes.items(), (RED, AMBER, GREEN), strict=False):
        ordered = np.sort(values)
        left.step(ordered, 1 - np.arange(1, len(ordered) + 1) / len(ordered), where="post", label=name, color=color)
    left.set(title="How long a fraud goes unseen", xlabel="minutes since the fraud", ylabel="share still unseen")
    left.set_xscale("symlog", linthresh=1)
    left.set_xlim(0, 24 * 60)
    left.set_xticks([0, 1, 10, 60, 360, 1440], ["0", "1", "10", "60", "6 h", "24 h"])
    left.legend()
    bars = right.barh(list(losses), list(losses.values()), color=[RED, AMBER, GREEN][: len(losses)])
    right.bar_label(bars, fmt="{:,.0f}", padding=3)
    right.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k")
    right.invert_yaxis()
    right.set(title="Lost after a card's first fraud", xlabel="amount")
    right.margins(x=0.2)
    return figure


def draw_rates(sent: Sequence[int], read: Mapping[str, Sequence[int]], goal: int) -> Figure:
    """Messages a second: sent, and read by each member of a consumer group (stacked)."""
    figure, axes = plt.subplots()
    bottom = np.zeros(max(map(len, [sent, *read.values()])))
    for (name, counts), color in zip(read.items(), (BLUE, "#8db6e2", GREEN), strict=False):
        padded = np.pad(np.asarray(counts, float), (0, len(bottom) - len(counts)))
        axes.bar(np.arange(len(bottom)), padded, bottom=bottom, width=0.9, color=color, label=f"read by {name}")
        bottom += padded
    axes.step(np.arange(len(sent)), sent, where="mid", color=RED, label="sent")
    axes.axhline(goal, color=MUTED, linestyle=":", label=f"goal {goal:,}")
    axes.set(title="The pipe in real time", xlabel="second", ylabel="transactions a second")
    axes.set_ylim(0, max(goal, bottom.max()) * 1.35)
    axes.legend(ncols=4, loc="upper center", fontsize=9)
    return figure


def draw_rhythm(transactions: pd.DataFrame) -> Figure:
    """The stream's rhythm: transactions by hour of the day, and by day."""
    times = pd.to_datetime(transactions["event_time_us"], unit="us")
    figure, (left, right) = plt.subplots(1, 2, width_ratios=(2, 3), figsize=(9, 2.8))
    left.bar(range(24), np.bincount(times.dt.hour, minlength=24) / times.dt.date.nunique(), color=BLUE)
    left.set(title="By hour of the day (UTC)", xlabel="hour", ylabel="transactions")
    days = times.dt.floor("D").value_counts().sort_index()
    right.bar(days.index, days.to_numpy(), color=[AMBER if d.dayofweek >= 5 else BLUE for d in days.index])
    right.set(title="By day, weekends in amber")
    right.xaxis.set_major_locator(AutoDateLocator(maxticks=6))
    right.xaxis.set_major_formatter(DateFormatter("%d %b"))
    return figure
