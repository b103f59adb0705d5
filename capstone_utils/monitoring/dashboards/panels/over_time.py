"""Panels over time, a function each: lines, heat map and state timeline."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, PowerNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from capstone_utils.monitoring.dashboards.panels.panel import GRID, INK, MUTED, Panel
from capstone_utils.monitoring.dashboards.panels.units import format_value

ROW, LETTER = 19, 6.5  # pixels: a line of a legend, and the width of a letter there
WIDE, CLOCK = 500, 75  # pixels: of a wide panel, and of a time of day


def draw_timeseries(panel: Panel) -> None:
    """Lines over time with their names and last values below, and the thresholds as dashed lines."""
    last = [(name, format_value(float(series.values.iloc[-1]), panel.unit)) for name, series in panel.series]
    labels = [f"{name}  {value}" for name, value in last]
    rows = _legend_rows(panel, labels)
    axes = _time_axes(panel, left=78, foot=24 + ROW * rows)
    custom = panel.defaults["custom"]
    handles = []
    for index, (name, series) in enumerate(panel.series):
        color, values = panel.series_color(name, index), panel.values(series)
        marker = "o" if np.isfinite(values).sum() == 1 else None  # a line needs two points
        axes.plot(panel.times, values, color=color, linewidth=1.6, marker=marker, markersize=4)
        axes.fill_between(panel.times, values, 0, color=color, alpha=custom["fillOpacity"] / 100, linewidth=0)
        handles.append(Line2D([], [], color=color, linewidth=3, label=labels[index]))
    low, high = axes.get_ylim()
    for limit, color in panel.thresholds[1:] if custom["thresholdsStyle"]["mode"] == "dashed" else []:
        _limit_line(axes, limit, color, format_value(limit, panel.unit))
        high = max(high, 1.2 * limit)
    axes.set_ylim(panel.defaults.get("min", low), high)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=panel.unit == "locale"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, panel.unit)))
    _legend(panel, handles, rows)


def draw_heatmap(panel: Panel) -> None:
    """A column a moment, a row a histogram bucket, darker where more fell into it; empty cells stay white."""
    axes = _time_axes(panel, left=74, foot=28, right=78)
    by_bound = {float(series.labels["le"]): panel.values(series) for _, series in panel.series}
    bounds = sorted(by_bound)
    cumulative = np.nan_to_num([by_bound[bound] for bound in bounds])
    counts = np.diff(cumulative, axis=0, prepend=0.0)
    if not counts[-1].any():  # a probability is never above 1, though the histogram has a bucket for it
        bounds, counts = bounds[:-1], counts[:-1]
    seen = np.ma.masked_less_equal(counts, panel.json["options"]["filterValues"]["le"])
    color = panel.json["options"]["color"]
    mesh = axes.pcolormesh(
        panel.times,
        np.arange(len(bounds)) + 0.5,
        seen,
        cmap=_colormap(color["scheme"]),
        norm=PowerNorm(color["exponent"], vmin=0, vmax=max(float(counts.max()), 1e-9)),
        edgecolor="white",
        linewidth=0.4,
    )
    axes.grid(visible=False)
    axes.set_yticks(np.arange(len(bounds)) + 1, [f"up to {bound:g}" for bound in bounds], fontsize=9)
    scale = panel.axes(panel.box.inside(panel.box.width - 62, 40, 52, 34))
    bar = panel.figure.colorbar(mesh, cax=scale)
    scale.spines["outline"].set_visible(False)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, panel.unit).split()[0]))
    bar.ax.tick_params(labelsize=9, length=0, labelcolor=MUTED)


def draw_state_timeline(panel: Panel) -> None:
    """A row a series, its color and word changing with its value."""
    axes = _time_axes(panel, left=16 + 1.1 * LETTER * max(len(name) for name, _ in panel.series), foot=24 + ROW)
    words = {float(value): look["text"] for value, look in panel.defaults["mappings"][0]["options"].items()}
    for row, (_, series) in enumerate(panel.series):
        values = panel.values(series)
        changes = np.flatnonzero(np.diff(values)) + 1
        starts, ends = np.r_[0, changes], np.r_[changes, len(values) - 1]
        for start, end in zip(starts, ends, strict=True):
            if not np.isnan(values[start]):
                color, left = panel.threshold_color(values[start]), panel.times[start]
                axes.barh(row, panel.times[end] - left, left=left, height=0.72, color=color, alpha=0.85, linewidth=0)
    axes.set_yticks(range(len(panel.series)), [name for name, _ in panel.series], color=INK)
    axes.set_ylim(len(panel.series) - 0.5, -0.5)
    axes.grid(visible=False)
    _legend(panel, [Patch(color=panel.threshold_color(value), label=word) for value, word in words.items()])


def _clock_times(axes: Axes, pixels: float) -> list[float]:
    """Round times within the axes' limits, so far apart that their words do not touch."""
    first, last = axes.get_xlim()
    round_times = mdates.AutoDateLocator(minticks=2, maxticks=7).tick_values(*mdates.num2date((first, last)))
    times = [float(time) for time in round_times if first <= time <= last]
    if len(times) < 2:
        return times
    apart = pixels * (times[1] - times[0]) / (last - first)
    return times[:: math.ceil(CLOCK / apart)]


def _time_axes(panel: Panel, left: float, foot: float, right: float = 34) -> Axes:
    wide = panel.box.width > WIDE  # enough for the words of a mark
    axes = panel.axes(
        panel.box.inside(left, 52 if wide and panel.marks else 40, right, foot), xlim=(panel.times[0], panel.times[-1])
    )
    axes.xaxis_date()
    axes.set_frame_on(False)
    axes.grid(color=GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=MUTED)
    axes.set_xticks(_clock_times(axes, panel.box.width - left - right))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M:%S"))
    for text, color, since in panel.marks:
        axes.axvline(mdates.date2num(since), color=color, linewidth=1.2, linestyle=(0, (2, 2)))
        if wide:
            top = axes.get_xaxis_transform()  # x as data, y as a share of the height
            axes.text(mdates.date2num(since), 1.01, text, transform=top, va="bottom", fontsize=8.5, color=color)
    return axes


def _limit_line(axes: Axes, limit: float, color: str, text: str) -> None:
    axes.axhline(limit, color=color, linewidth=1.3, linestyle=(0, (5, 3)))
    right = axes.get_yaxis_transform()  # x as a share of the width, y as data
    axes.text(0.995, limit, f"limit {text}", transform=right, ha="right", va="bottom", fontsize=9, color=color)


def _legend_rows(panel: Panel, labels: Sequence[str]) -> int:
    """The lines that the legend takes: as many entries beside each other as fit."""
    beside = max(int((panel.box.width - 20) / (max(map(len, labels)) * LETTER + 40)), 1)
    return -(-len(labels) // beside)


def _legend(panel: Panel, handles: Sequence[Artist], rows: int = 1) -> None:
    strip = panel.axes(panel.box.inside(10, panel.box.height - 6 - ROW * rows, 10, 4))
    strip.axis("off")
    look = {"frameon": False, "fontsize": 9.5, "labelcolor": INK, "handlelength": 1.2, "handleheight": 0.5}
    look |= {"columnspacing": 1.2, "labelspacing": 0.25, "borderpad": 0, "borderaxespad": 0}
    strip.legend(handles=handles, loc="center left", ncols=-(-len(handles) // rows), **look)


def _colormap(scheme: str) -> Colormap:
    """Grafana's scheme, which has matplotlib's name, without its nearly white end: what is there must show."""
    whole = mpl.colormaps[scheme]
    return ListedColormap(whole(np.linspace(0.22, 1, 256)))
