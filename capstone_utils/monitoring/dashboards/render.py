"""Grafana's dashboard where there is no Grafana: the same JSON, asked of the real Prometheus, drawn with matplotlib."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from capstone_utils.monitoring.dashboards.definition import COLUMNS
from capstone_utils.monitoring.dashboards.panels.last_values import draw_bargauge, draw_gauge, draw_stat
from capstone_utils.monitoring.dashboards.panels.over_time import draw_heatmap, draw_state_timeline, draw_timeseries
from capstone_utils.monitoring.dashboards.panels.panel import CANVAS, COLORS, INK, MUTED, Box, Panel
from capstone_utils.monitoring.prometheus.client import PrometheusClient, Series
from capstone_utils.monitoring.prometheus.durations import shorten_windows
from capstone_utils.transaction import DAY_SECONDS

DRAW: Mapping[str, Callable[[Panel], None]] = {
    "stat": draw_stat,
    "gauge": draw_gauge,
    "bargauge": draw_bargauge,
    "timeseries": draw_timeseries,
    "heatmap": draw_heatmap,
    "state-timeline": draw_state_timeline,
}

WIDTH, HEAD, MARGIN = 1150, 50, 10  # pixels: about a notebook's width on a laptop, so that text keeps its size
ROW, GAP = 38, 8  # Grafana's rows: 30 pixels, and 8 between
POINTS = 200  # moments a panel asks for, unless it says maxDataPoints
DPI = 100


def render_dashboard(
    prometheus: PrometheusClient,
    dashboard_json: Path,
    start: float,
    end: float,
    factor: float = 1.0,
    **choices: str,
) -> Figure:
    """The dashboard as Grafana would show it for the time from `start` to `end` (seconds since 1970).

    Panels stand where gridPos puts them; one without an answer says "no data".

    Args:
        prometheus: the source of the values.
        dashboard_json: the file of a dashboard, as `dashboard_file("duty")`.
        start: the left end of the time axes.
        end: the right end.
        factor: the factor of `faster`, so that written-out windows (`[1m]`) shrink as those of the rules did.
        choices: values of the dashboard's variables, such as `door="http"`; all of them where it is not said.

    Raises:
        ValueError: for an unknown panel type or variable, or when there are not two scrapes between `start` and `end`.
    """
    dashboard = json.loads(dashboard_json.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    if unknown := {panel["type"] for panel in panels} - DRAW.keys():
        raise ValueError(f"panels of type {', '.join(sorted(unknown))} cannot be drawn; only {', '.join(DRAW)} can")
    scrape_seconds = prometheus.scrape_interval_seconds()
    if end - start < 2 * scrape_seconds:
        raise ValueError(f"end is {end - start:g} s after start; a picture needs two scrapes, {2 * scrape_seconds:g} s")
    variables = _variables(dashboard, choices)
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)

    def filled(promql: str, step: float) -> str:
        rate = rate_interval(step, scrape_seconds)
        fill = {"$__interval": f"{round(step * 1000)}ms", "$__rate_interval": rate} | variables
        return _promql(promql, fill, factor)

    def ask(promql: str, step: float) -> list[Series]:
        return prometheus.series(filled(promql, step), start, end, step)

    def ask_once(promql: str) -> list[Series]:
        return prometheus.instant(filled(promql, scrape_seconds), end)

    marks = [
        (_name(each["titleFormat"], series.labels), COLORS[each["iconColor"]], series.values.index[0])
        for each in dashboard["annotations"]["list"]
        for series in ask(each["expr"], scrape_seconds)
    ]
    with plt.rc_context({"figure.constrained_layout.use": False, "axes.titlelocation": "center"}):
        height = HEAD + rows * ROW - GAP + MARGIN
        figure = plt.figure(figsize=(WIDTH / DPI, height / DPI), dpi=DPI, facecolor=CANVAS)
        _draw_head(figure, dashboard["title"], start, end, scrape_seconds)
        for panel in panels:
            step = max(scrape_seconds, (end - start) / panel.get("maxDataPoints", POINTS))
            answers = [
                (_name(target["legendFormat"], series.labels), series)
                for target in panel["targets"]
                for series in (ask(target["expr"], step) if target["range"] else ask_once(target["expr"]))
            ]
            times = np.arange(start, end + step / 2, step) / DAY_SECONDS  # matplotlib counts days
            _draw(Panel(panel, figure, _box(panel["gridPos"]), answers, times, marks))
    return figure


def rate_interval(step_seconds: float, scrape_seconds: float) -> str:
    """Grafana's `$__rate_interval`: four scrapes, or a step and a scrape when that is longer.

    Source: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/#use-__rate_interval
    """
    return f"{round(1000 * max(step_seconds + scrape_seconds, 4 * scrape_seconds))}ms"


def _variables(dashboard: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, str]:
    """The value of each variable of the dashboard, by `$name`."""
    known = {each["name"]: each["allValue"] for each in dashboard["templating"]["list"]}
    if unknown := sorted(choices.keys() - known.keys()):
        raise ValueError(f"{dashboard['title']} has no variable {unknown[0]}; it has {', '.join(known) or 'none'}")
    return {f"${name}": value for name, value in (known | dict(choices)).items()}


def _promql(expression: str, variables: Mapping[str, str], factor: float) -> str:
    """The expression with its written-out windows shortened and Grafana's variables filled in."""
    promql = shorten_windows(expression, factor)
    for name, value in variables.items():
        promql = promql.replace(name, value)
    if "$" in promql:
        raise ValueError(f"{expression} has a variable other than {', '.join(variables)}")
    return promql


def _name(legend: str, labels: Mapping[str, str]) -> str:
    """The legend's text with each {{label}} filled in."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda label: labels.get(label[1], ""), legend)


def _box(place: Mapping[str, int]) -> Box:
    """The pixels of a gridPos."""
    column = (WIDTH - 2 * MARGIN + GAP) / COLUMNS
    left, top = MARGIN + place["x"] * column, HEAD + place["y"] * ROW
    return Box(left, top, place["w"] * column - GAP, place["h"] * ROW - GAP)


def _draw(panel: Panel) -> None:
    panel.draw_frame()
    if any(series.values.notna().any() for _, series in panel.series):
        DRAW[panel.json["type"]](panel)
    else:
        panel.text(panel.box.width / 2, panel.box.height / 2, "no data", ha="center", fontsize=12, color=MUTED)


def _draw_head(figure: Figure, title: str, start: float, end: float, scrape_seconds: float) -> None:
    since, until = (datetime.fromtimestamp(moment, UTC) for moment in (start, end))
    text = f"{since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S} UTC, scraped every {scrape_seconds:g} s"
    y = 1 - HEAD / 2 / figure.bbox.height
    figure.text((MARGIN + 2) / WIDTH, y, title, va="center", fontsize=16, weight="bold", color=INK)
    figure.text(1 - (MARGIN + 2) / WIDTH, y, text, va="center", ha="right", fontsize=10, color=MUTED)
