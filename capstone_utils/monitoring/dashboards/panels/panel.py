"""One panel of a Grafana dashboard: its place on the page, its colors, and the answers that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from capstone_utils.ingestion.arrays import Floats
from capstone_utils.monitoring.prometheus.client import Series

INK, MUTED, GRID, BORDER, CANVAS = "#24292e", "#6e7781", "#eceef0", "#d8dce0", "#f4f5f5"
TITLE, LETTER = 10.5, 8.3  # points of a title, and the pixels of its letters
# Grafana's names for the colors of its palette.
COLORS = {
    "semi-dark-green": "#56a64b",
    "semi-dark-orange": "#ff780a",
    "semi-dark-red": "#e02f44",
    "semi-dark-blue": "#3274d9",
    "semi-dark-purple": "#a352cc",
    "semi-dark-yellow": "#f2cc0c",
    "dark-green": "#37872d",
    "dark-blue": "#1f60c4",
}


class Box(NamedTuple):
    """A rectangle in pixels, counted from the figure's upper left corner."""

    left: float
    top: float
    width: float
    height: float

    def inside(self, left: float, top: float, right: float, bottom: float) -> Box:
        """The rectangle that these margins leave."""
        return Box(self.left + left, self.top + top, self.width - left - right, self.height - top - bottom)


@dataclass(frozen=True)
class Panel:
    """A panel's JSON, the figure and the box it is drawn in, and what Prometheus answered."""

    json: dict[str, Any]
    figure: Figure
    box: Box
    series: list[tuple[str, Series]]  # by the name that the legend gives
    times: Floats  # the moments asked for, evenly spaced, as matplotlib's date numbers
    marks: Sequence[tuple[str, str, pd.Timestamp]] = ()  # annotations: text, color, and since when

    @property
    def unit(self) -> str:
        """Grafana's name of the unit."""
        return str(self.defaults.get("unit", "none"))

    @property
    def defaults(self) -> dict[str, Any]:
        """The panel's field configuration."""
        configuration: dict[str, Any] = self.json["fieldConfig"]["defaults"]
        return configuration

    @property
    def thresholds(self) -> list[tuple[float, str]]:
        """(from this value on, this color), lowest first; the first begins at minus infinity."""
        steps = self.defaults["thresholds"]["steps"]
        return [(-np.inf if step["value"] is None else step["value"], COLORS[step["color"]]) for step in steps]

    @property
    def last(self) -> list[tuple[str, float]]:
        """The name and the last value of each series that has one."""
        known = [(name, series.values.dropna()) for name, series in self.series]
        return [(name, float(values.iloc[-1])) for name, values in known if len(values)]

    def threshold_color(self, value: float) -> str:
        """The color of the highest threshold that the value reaches."""
        return [color for least, color in self.thresholds if value >= least][-1]

    def series_color(self, name: str, index: int) -> str:
        """The color of a series: its own, else the panel's, else the next of the palette."""
        fixed = self.own_color(name) or self.defaults["color"].get("fixedColor")
        return COLORS[fixed] if fixed else list(COLORS.values())[index % len(COLORS)]

    def own_color(self, name: str) -> str:
        """Grafana's name of the color that the panel gives this series; empty without one."""
        overrides = self.json["fieldConfig"]["overrides"]
        own = [each["properties"][0]["value"]["fixedColor"] for each in overrides if each["matcher"]["options"] == name]
        return str(own[0]) if own else ""

    def values(self, series: Series) -> Floats:
        """The series at every moment asked for, NaN where Prometheus had nothing: gaps stay gaps. Shape (times,)."""
        step = self.times[1] - self.times[0]
        places = np.rint((mdates.date2num(series.values.index) - self.times[0]) / step).astype(int)
        values = np.full(len(self.times), np.nan)
        values[places] = series.values.to_numpy()
        return values

    def axes(self, box: Box, **options: Any) -> Axes:
        """Axes that fill a box."""
        width, height = self.figure.bbox.size
        place = (box.left / width, 1 - (box.top + box.height) / height, box.width / width, box.height / height)
        return self.figure.add_axes(place, facecolor="none", **options)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """Text at pixels from the box's upper left corner."""
        width, height = self.figure.bbox.size
        self.figure.text((self.box.left + x) / width, 1 - (self.box.top + y) / height, text, **style)

    def draw_frame(self) -> None:
        """The white card with the panel's title."""
        axes = self.axes(self.box, xlim=(0, self.box.width), ylim=(0, self.box.height), zorder=-1)
        axes.axis("off")
        corners = "round,pad=0,rounding_size=4"
        size = (self.box.width - 1, self.box.height - 1)
        axes.add_patch(FancyBboxPatch((0.5, 0.5), *size, boxstyle=corners, facecolor="white", edgecolor=BORDER))
        title = self.json["title"]
        points = min(TITLE, TITLE * (self.box.width - 18) / (LETTER * len(title)))  # Grafana would cut it off
        self.text(10, 18, title, va="center", weight="bold", fontsize=points, color=INK)
