"""One function a Grafana panel type: the same picture with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl
import matplotlib.dates as mdates
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, PowerNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Wedge
from matplotlib.ticker import FuncFormatter, MaxNLocator

from capstone_utils.monitoring.dashboards.panel import GRID, INK, MUTED, Panel
from capstone_utils.monitoring.dashboards.units import format_value

GAUGE_START, GAUGE_SWEEP = 205.0, 230.0  # degrees, clockwise from the lower left
EMPTY_ARC = "#e6e8eb"


def draw_stat(panel: Panel) -> None:
    """The last value, large, in the color of its threshold; its way there as a line at the foot."""
    color = panel.threshold_color(panel.last)
    middle = 0.56 * panel.box.height
    text = format_value(panel.last, panel.unit)
    panel.text(panel.box.width / 2, middle, text, ha="center", va="center", fontsize=27, weight="bold", color=color)
    if panel.json["options"]["graphMode"] != "area":
        return
    values = panel.values(panel.series[0][1])
    axes = panel.axes(panel.box.inside(1, 0.72 * panel.box.height, 1, 1))
    axes.axis("off")
    axes.plot(panel.times, values, color=color, linewidth=1.2)
    axes.fill_between(panel.times, values, np.nanmin(values), color=color, alpha=0.15, linewidth=0)
    axes.set_xlim(panel.times[0], panel.times[-1])
    axes.margins(y=0.15)


def draw_gauge(panel: Panel) -> None:
    """The last value on an arc from `min` to `max`, with the thresholds along its rim: a car's gauge."""
    low, high = float(panel.defaults["min"]), float(panel.defaults["max"])
    axes = panel.axes(panel.box.inside(8, 34, 8, 6), xlim=(-1.45, 1.45), ylim=(-0.55, 1.2), aspect="equal")
    axes.axis("off")

    def angle(value: float) -> float:
        return GAUGE_START - GAUGE_SWEEP * (min(max(value, low), high) - low) / (high - low)

    def arc(start: float, end: float, radius: float, width: float, color: str) -> None:
        axes.add_patch(Wedge((0, 0), radius, angle(end), angle(start), width=width, color=color, linewidth=0))

    color = panel.threshold_color(panel.last)
    arc(low, high, 0.96, 0.26, EMPTY_ARC)
    arc(low, panel.last, 0.96, 0.26, color)
    limits = [max(least, low) for least, _ in panel.thresholds] + [high]
    for (_, rim), start, end in zip(panel.thresholds, limits, limits[1:], strict=False):
        arc(start, end, 1.05, 0.05, rim)
    for limit in limits:
        x, y = np.cos(np.radians(angle(limit))), np.sin(np.radians(angle(limit)))
        side = "left" if x > 0.3 else "right" if x < -0.3 else "center"
        at, side = ((0.83 * x, y - 0.12), "center") if limit in (low, high) else ((1.12 * x, 1.12 * y), side)
        axes.text(*at, format_value(limit, panel.unit), ha=side, va="center", fontsize=7.5, color=MUTED)
    text = format_value(panel.last, panel.unit)
    axes.text(0, -0.04, text, ha="center", va="center", fontsize=13, weight="bold", color=color)


def draw_timeseries(panel: Panel) -> None:
    """Lines over time with their names and last values below, and the thresholds as dashed lines."""
    axes = _time_axes(panel, left=62, foot=50)
    custom = panel.defaults["custom"]
    handles = []
    for index, (name, series) in enumerate(panel.series):
        color, values = panel.series_color(name, index), panel.values(series)
        marker = "o" if np.isfinite(values).sum() == 1 else None  # a line needs two points
        axes.plot(panel.times, values, color=color, linewidth=1.6, marker=marker, markersize=4)
        axes.fill_between(panel.times, values, 0, color=color, alpha=custom["fillOpacity"] / 100, linewidth=0)
        last = format_value(float(series.values.iloc[-1]), panel.unit)
        handles.append(Line2D([], [], color=color, linewidth=3, label=f"{name}  {last}"))
    low, high = axes.get_ylim()
    for limit, color in panel.thresholds[1:] if custom["thresholdsStyle"]["mode"] == "dashed" else []:
        _limit_line(axes, limit, color, format_value(limit, panel.unit))
        high = max(high, 1.2 * limit)
    axes.set_ylim(panel.defaults.get("min", low), high)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, panel.unit)))
    _legend(panel, handles)


def draw_heatmap(panel: Panel) -> None:
    """A column a moment, a row a histogram bucket, darker where more fell into it; empty cells stay white."""
    axes = _time_axes(panel, left=62, foot=26, right=74)
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
    axes.set_yticks(np.arange(len(bounds)) + 1, [f"up to {bound:g}" for bound in bounds], fontsize=7.5)
    scale = panel.axes(panel.box.inside(panel.box.width - 62, 40, 52, 34))
    bar = panel.figure.colorbar(mesh, cax=scale)
    scale.spines["outline"].set_visible(False)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_value(value, panel.unit).split()[0]))
    bar.ax.tick_params(labelsize=7.5, length=0, labelcolor=MUTED)


def draw_state_timeline(panel: Panel) -> None:
    """A row a series, its color and word changing with its value."""
    axes = _time_axes(panel, left=116, foot=50)
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


def _time_axes(panel: Panel, left: float, foot: float, right: float = 16) -> Axes:
    axes = panel.axes(panel.box.inside(left, 40, right, foot), xlim=(panel.times[0], panel.times[-1]))
    axes.xaxis_date()
    axes.set_frame_on(False)
    axes.grid(color=GRID, linewidth=0.9)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=8, labelcolor=MUTED)
    axes.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=7))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%H:%M:%S"))
    return axes


def _limit_line(axes: Axes, limit: float, color: str, text: str) -> None:
    axes.axhline(limit, color=color, linewidth=1.3, linestyle=(0, (5, 3)))
    right = axes.get_yaxis_transform()  # x as a share of the width, y as data
    axes.text(0.995, limit, f"limit {text}", transform=right, ha="right", va="bottom", fontsize=7.5, color=color)


def _legend(panel: Panel, handles: Sequence[Artist]) -> None:
    strip = panel.axes(panel.box.inside(10, panel.box.height - 26, 10, 4))
    strip.axis("off")
    look = {"frameon": False, "fontsize": 8.5, "labelcolor": INK, "handlelength": 1.2, "handleheight": 0.5}
    strip.legend(handles=handles, loc="center left", ncols=len(handles), borderpad=0, borderaxespad=0, **look)


def _colormap(scheme: str) -> Colormap:
    """Grafana's scheme, which has matplotlib's name, without its nearly white end: what is there must show."""
    whole = mpl.colormaps[scheme]
    return ListedColormap(whole(np.linspace(0.22, 1, 256)))


DRAW: dict[str, Callable[[Panel], None]] = {
    "stat": draw_stat,
    "gauge": draw_gauge,
    "timeseries": draw_timeseries,
    "heatmap": draw_heatmap,
    "state-timeline": draw_state_timeline,
}
