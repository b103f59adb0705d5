"""Panels drawn from answers made by hand: what the picture holds is what was answered."""

from __future__ import annotations

import json

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from capstone_utils.monitoring.dashboards.panel import COLORS, Box, Panel
from capstone_utils.monitoring.dashboards.panel_types import DRAW
from matplotlib.colors import to_hex
from matplotlib.patches import Wedge

from capstone_utils.monitoring.dashboards.render import DASHBOARD
from capstone_utils.monitoring.prometheus.client import Series

PANELS = {panel["title"]: panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]}
START = pd.Timestamp("2026-08-01 12:00", tz="UTC")
GREEN, ORANGE, RED = COLORS["semi-dark-green"], COLORS["semi-dark-orange"], COLORS["semi-dark-red"]


@pytest.fixture
def figure():
    made = plt.figure(figsize=(6, 4))
    yield made
    plt.close(made)


def drawn(figure, title: str, *answers: tuple[str, list[float | None]], **labels: list[str]) -> Panel:
    """The panel of this title over moments a second apart; None where Prometheus had nothing."""
    moments = pd.date_range(START, periods=len(answers[0][1]), freq="s")
    series = []
    for index, (name, values) in enumerate(answers):
        own = {label: column[index] for label, column in labels.items()}
        known = pd.Series(values, index=moments, dtype=float).dropna()
        series.append((name, Series(own, known)))
    panel = Panel(PANELS[title], figure, Box(0, 0, 600, 400), series, mdates.date2num(moments))
    DRAW[panel.json["type"]](panel)
    return panel


def texts(figure) -> list[str]:
    return [text.get_text() for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]]


def test_a_stat_shows_the_last_value_in_the_color_of_its_threshold(figure):
    drawn(figure, "Alerts firing", ("firing", [0, 1, 2, None]))
    (text,) = figure.texts
    assert (text.get_text(), text.get_color()) == ("2", RED)


def test_a_gauges_needle_stops_at_its_ends(figure):
    drawn(figure, "Fraud rate", ("fraud rate", [0.01, 0.9]))
    assert "90%" in texts(figure)
    arcs = [patch for patch in figure.axes[0].patches if isinstance(patch, Wedge)]
    whole, filled = arcs[:2]
    assert (filled.theta1, filled.theta2) == (whole.theta1, whole.theta2)
    assert to_hex(filled.get_facecolor()) == RED


def test_a_gauge_at_its_middle_fills_half_the_arc(figure):
    drawn(figure, "Latency, 95th percentile", ("p95", [0.2, 0.2]))
    whole, filled = figure.axes[0].patches[:2]
    assert filled.theta2 - filled.theta1 == pytest.approx((whole.theta2 - whole.theta1) / 2)


def test_a_gap_in_the_answers_is_a_gap_in_the_line(figure):
    drawn(figure, "Fraud rate over time", ("fraud rate", [0.01, None, 0.03, 0.02]))
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.01, np.nan, 0.03, 0.02])
    assert axes.get_ylim()[1] > 0.05, "the limit has to be in sight"
    assert "limit 5%" in texts(figure)


def test_lines_have_their_own_colors_and_last_values_in_the_legend(figure):
    answers = {"p50": [0.01, 0.011], "p95": [0.05, 0.051], "p99": [0.1, 0.3]}
    panel = drawn(figure, "Latency of a prediction", *answers.items())
    assert [line.get_color() for line in figure.axes[0].lines[:3]] == [GREEN, ORANGE, RED]
    legend = figure.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["p50  11 ms", "p95  51 ms", "p99  300 ms"]
    assert panel.last == 0.011


def test_a_single_moment_is_a_dot(figure):
    drawn(figure, "Fraud rate over time", ("fraud rate", [None, 0.04, None]))
    assert figure.axes[0].lines[0].get_marker() == "o"


def test_a_heatmap_shows_what_fell_into_each_bucket_and_not_below_it(figure):
    buckets = [("0.1", [10, 10]), ("0.5", [10, 14]), ("1", [13, 20]), ("+Inf", [13, 20])]
    drawn(figure, "Fraud probability, payments a second in each range", *buckets, le=[name for name, _ in buckets])
    axes = figure.axes[0]
    mesh = axes.collections[0]
    assert mesh.get_array().filled(-1).tolist() == [[10, 10], [-1, 4], [3, 6]], "an empty cell stays white"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["up to 0.1", "up to 0.5", "up to 1"]


def test_buckets_are_ordered_by_their_bound_and_not_by_its_text(figure):
    buckets = [("+Inf", [4, 4]), ("10", [3, 3]), ("2", [1, 1])]
    drawn(figure, "Fraud probability, payments a second in each range", *buckets, le=[name for name, _ in buckets])
    assert figure.axes[0].collections[0].get_array().tolist() == [[1, 1], [2, 2], [1, 1]]


def test_a_state_timeline_changes_color_when_the_state_changes(figure):
    drawn(figure, "Alerts", ("FraudRateHigh", [0, 0, 1, 2, 2, None]), ("LatencyHigh", [0, 0, 0, 0, 0, 0]))
    axes = figure.axes[0]
    second = 1 / 86_400
    first_row = [bar for bar in axes.patches if bar.get_y() < 0.5 and bar.get_width() > 0]
    assert [to_hex(bar.get_facecolor()) for bar in first_row] == [GREEN, ORANGE, RED]
    assert [round(bar.get_width() / second) for bar in first_row] == [2, 1, 2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["FraudRateHigh", "LatencyHigh"]
