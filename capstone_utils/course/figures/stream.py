"""Pictures of notebook 1: fraud that goes unseen, and the broker's flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, MUTED, RED, describe
from capstone_utils.ingestion.arrays import Array


def draw_unseen(minutes: Mapping[str, Array], losses: Mapping[str, float]) -> Figure:
    """Left: the share of frauds still unseen after a time; right: the money lost after a card's first fraud."""
    figure, (left, right) = plt.subplots(1, 2, width_ratios=(3, 2))
    for (name, values), color in zip(minutes.items(), (RED, AMBER, GREEN), strict=False):
        ordered = np.sort(values)
        if not ordered.any():  # no line to draw: all of them are seen in the moment itself
            left.plot(0, 0, "o", color=color, markersize=9, clip_on=False, zorder=3, label=name)
            continue
        share = 1 - np.arange(len(ordered) + 1) / len(ordered)
        left.step(np.concatenate([[0], ordered]), share, where="post", label=name, color=color)
    left.set(title="How long a fraud goes unseen", xlabel="time since the fraud", ylabel="share still unseen")
    left.set_xscale("symlog", linthresh=1)
    left.set_xlim(0, 24 * 60)
    left.set_xticks([0, 1, 10, 60, 360, 1440], ["0", "1 min", "10 min", "1 h", "6 h", "24 h"])
    left.set_ylim(0, 1.03)
    left.legend()
    bars = right.barh(list(losses), list(losses.values()), color=[RED, AMBER, GREEN][: len(losses)])
    right.bar_label(bars, fmt="{:,.0f}", padding=3)
    right.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    right.invert_yaxis()
    right.xaxis.set_major_locator(MaxNLocator(3))
    right.set(title="Lost after a card's first fraud", xlabel="dollars in the whole stream")
    right.margins(x=0.25)
    said = ", ".join(f"{name} {amount:,.0f} dollars" for name, amount in losses.items())
    return describe(figure, f"Share of frauds still unseen by the time since the fraud, and money lost: {said}.")


def draw_rates(sent: Sequence[int], read: Mapping[str, Sequence[int]], goal: int) -> Figure:
    """Payments a second: sent, and read by each member of a consumer group (stacked)."""
    figure, axes = plt.subplots()
    bottom = np.zeros(max(map(len, [sent, *read.values()])))
    for (name, counts), color in zip(read.items(), (BLUE, "#8db6e2", GREEN), strict=False):
        padded = np.pad(np.asarray(counts, float), (0, len(bottom) - len(counts)))
        axes.bar(np.arange(len(bottom)), padded, bottom=bottom, width=0.9, color=color, label=f"read by {name}")
        bottom += padded
    axes.step(np.arange(len(sent)), sent, where="mid", color=RED, label="sent")
    axes.axhline(goal, color=MUTED, linestyle=":", label=f"goal {goal:,}")
    axes.set(
        title="The pipe in real time", xlabel="second (the last one is not a full one)", ylabel="payments a second"
    )
    axes.set_ylim(0, max(goal, bottom.max()) * 1.35)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(ncols=4, loc="upper center", fontsize=9)
    names = " and ".join(read)
    return describe(figure, f"Bars of payments read in each second by {names}, under a line of the payments sent.")


def draw_rhythm(transactions: pd.DataFrame) -> Figure:
    """The stream's rhythm: mean payments by hour of the day, and payments by day."""
    times = pd.to_datetime(transactions["event_time_us"], unit="us")
    figure, (left, right) = plt.subplots(1, 2, width_ratios=(2, 3), figsize=(9, 2.8))
    left.bar(range(24), np.bincount(times.dt.hour, minlength=24) / times.dt.date.nunique(), color=BLUE)
    left.set(title="By hour of the day", xlabel="hour, UTC", ylabel="payments, mean of the days")
    days = times.dt.floor("D").value_counts().sort_index()
    right.bar(days.index, days.to_numpy(), color=[AMBER if d.dayofweek >= 5 else BLUE for d in days.index])
    right.set(title="By day, weekends in amber", xlabel="day", ylabel="payments")
    right.xaxis.set_major_locator(AutoDateLocator(maxticks=6))
    right.xaxis.set_major_formatter(DateFormatter("%d %b"))
    busiest = int(np.argmax(np.bincount(times.dt.hour, minlength=24)))
    return describe(
        figure,
        f"Two bar charts of payments: by hour of the day, most of them at {busiest} UTC, and by day of the stream.",
    )
