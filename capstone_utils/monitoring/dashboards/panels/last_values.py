"""Panels of last values, a function each: stat, gauge and bar gauge."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import Wedge

from capstone_utils.monitoring.dashboards.panels.panel import COLORS, INK, MUTED, Box, Panel
from capstone_utils.monitoring.dashboards.panels.units import format_value

GAUGE_START, GAUGE_SWEEP = 205.0, 230.0  # degrees, clockwise from the lower left
EMPTY_ARC = "#e6e8eb"


def draw_stat(panel: Panel) -> None:
    """The last value, large, in the color of its threshold, and its way there at the foot; or the series' names."""
    if panel.json["options"]["textMode"] == "name":
        room = (panel.box.height - 44) / len(panel.last)
        for row, (name, value) in enumerate(panel.last):
            size = min(15, 0.5 * room, 1.5 * panel.box.width / len(name))
            _large(panel, 36 + (row + 0.5) * room, name, size, panel.threshold_color(value))
        return
    ((_, last), *_) = panel.last
    color = panel.threshold_color(last)
    _large(panel, 0.54 * panel.box.height, format_value(last, panel.unit), 24, color)
    if panel.json["options"]["graphMode"] != "area":
        return
    values = panel.values(panel.series[0][1])
    axes = panel.axes(panel.box.inside(1, 0.72 * panel.box.height, 1, 1))
    axes.axis("off")
    axes.plot(panel.times, values, color=color, linewidth=1.2)
    axes.fill_between(panel.times, values, np.nanmin(values), color=color, alpha=0.15, linewidth=0)
    axes.set_xlim(panel.times[0], panel.times[-1])
    axes.margins(y=0.15)


def _large(panel: Panel, y: float, text: str, size: float, color: str) -> None:
    look = {"ha": "center", "va": "center", "fontsize": size, "weight": "bold", "color": color}
    panel.text(panel.box.width / 2, y, text, **look)


def draw_gauge(panel: Panel) -> None:
    """The last value of each series on an arc from `min` to `max`, the thresholds along its rim: a car's gauge."""
    width = (panel.box.width - 8) / len(panel.last)
    for number, (name, value) in enumerate(panel.last):
        left = 4 + number * width
        _arc(panel, panel.box.inside(left, 30, panel.box.width - left - width, 4), name, value)


def _arc(panel: Panel, box: Box, name: str, value: float) -> None:
    low, high = float(panel.defaults["min"]), float(panel.defaults["max"])
    axes = panel.axes(box, xlim=(-1.2, 1.2), ylim=(-0.95, 1.1), aspect="equal")
    axes.axis("off")

    def angle(value: float) -> float:
        return GAUGE_START - GAUGE_SWEEP * (min(max(value, low), high) - low) / (high - low)

    def arc(start: float, end: float, radius: float, width: float, color: str) -> None:
        axes.add_patch(Wedge((0, 0), radius, angle(end), angle(start), width=width, color=color, linewidth=0))

    color = panel.threshold_color(value)
    arc(low, high, 0.96, 0.26, EMPTY_ARC)
    arc(low, value, 0.96, 0.26, color)
    limits = [max(least, low) for least, _ in panel.thresholds] + [high]
    for (_, rim), start, end in zip(panel.thresholds, limits, limits[1:], strict=False):
        arc(start, end, 1.07, 0.07, rim)
    text, size = format_value(value, panel.unit), min(12.0, box.width / 12)
    axes.text(0, -0.02, text, ha="center", va="center", fontsize=size, weight="bold", color=color)
    axes.text(0, -0.72, name, ha="center", va="center", fontsize=9.5, color=MUTED)


def draw_bargauge(panel: Panel) -> None:
    """A bar a series with its name and its last value, in the panel's order; full at `max`, or the largest one is."""
    axes = panel.axes(panel.box.inside(0.42 * panel.box.width, 36, 70, 10))
    axes.axis("off")
    last = panel.last
    high = float(panel.defaults.get("max", max(value for _, value in last) or 1.0))
    low = float(panel.defaults["min"])
    size = min(9.5, 0.55 * (panel.box.height - 46) / len(last))
    for row, (name, value) in enumerate(last):
        own = panel.own_color(name)
        color = COLORS[own] if own else panel.threshold_color(value)
        filled = min(max(value - low, 0.0) / (high - low), 1.0)
        axes.barh(row, 1.0, height=0.72, color=EMPTY_ARC)
        axes.barh(row, filled, height=0.72, color=color)
        axes.text(-0.02, row, name, ha="right", va="center", fontsize=size, color=INK)
        axes.text(1.02, row, format_value(value, panel.unit), va="center", fontsize=size, weight="bold", color=color)
    axes.set(xlim=(0, 1), ylim=(max(len(last), 3) - 0.5, -0.5))
