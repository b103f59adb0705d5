"""Pictures of notebook 3's second half: throughput and response times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from capstone_utils.course.figures.style import BLUE, GREEN, INK, MUTED, RED, describe
from capstone_utils.ingestion.arrays import Floats


def draw_live(
    per_second: Sequence[int], age_seconds: Floats, goal: int, killed_after_seconds: float | None = None
) -> Figure:
    """Left: transactions scored in each second, and the goal; right: their ages at their verdict."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), width_ratios=(3, 2))
    left.bar(range(len(per_second)), per_second, color=BLUE)
    left.axhline(goal, color=RED, linestyle="--", label=f"goal {goal:,}")
    if killed_after_seconds is not None:  # a second's bar has its number in the middle
        left.axvline(killed_after_seconds - 0.5, color=INK, linestyle=":", label="kill -9")
    left.set(
        title="Payments scored a second", xlabel="second", ylabel="payments", ylim=(0, 1.35 * max(goal, *per_second))
    )
    left.legend(loc="upper right")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    milliseconds = 1_000 * age_seconds
    p99 = float(np.percentile(milliseconds, 99))
    right.hist(milliseconds, bins=np.linspace(0, 1.5 * p99, 50).tolist(), color=GREEN)
    right.axvline(p99, color=RED, linestyle="--")
    right.text(p99, right.get_ylim()[1] * 0.9, f" p99 {p99:.0f} ms", color=RED, fontsize=9)
    right.set(title="From payment to verdict", xlabel="milliseconds", ylabel="payments")
    if killed_after_seconds is not None:
        _annotate_catch_up(left, per_second)
    return describe(
        figure,
        f"Payments scored in each second beside the goal of {goal:,}, and their ages: 99 of 100 below {p99:,.0f} ms.",
    )


def _annotate_catch_up(axes: Axes, per_second: Sequence[int]) -> None:
    """Name the seconds without a worker, and the one that makes up for them."""
    counts = np.asarray(per_second[:-1])  # the last second is not a full one
    hole, highest = float(np.flatnonzero(counts == counts.min()).mean()), float(np.argmax(counts))
    for second, height, text, color in (
        (hole, counts.min(), "no worker", MUTED),
        (highest, counts.max(), "catch-up", INK),
    ):
        axes.annotate(
            text,
            (second, height),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=color,
        )


def draw_latency(milliseconds: Mapping[str, Floats], goal_ms: float = 200) -> Figure:
    """Response times of each route, on a logarithmic axis that also holds the goal."""
    figure, axes = plt.subplots(figsize=(9, 3))
    bins = np.geomspace(0.1, goal_ms * 1.6, 90).tolist()
    for (name, values), color in zip(milliseconds.items(), (BLUE, GREEN), strict=False):
        p95 = np.percentile(values, 95)
        axes.hist(values, bins=bins, color=color, alpha=0.6, label=f"{name}: p95 {p95:.1f} ms")
    axes.axvline(goal_ms, color=RED, linewidth=2)
    axes.text(goal_ms * 0.97, axes.get_ylim()[1] * 0.9, f"goal {goal_ms:.0f} ms", color=RED, ha="right")
    axes.set_xscale("log")
    ticks = [0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set(title="How fast the rescue team is", xlabel="milliseconds", ylabel="requests")
    axes.legend(loc="upper left")
    return describe(
        figure,
        f"Response times of {' and '.join(milliseconds)} on a logarithmic axis, beside the goal of {goal_ms:.0f} ms.",
    )
