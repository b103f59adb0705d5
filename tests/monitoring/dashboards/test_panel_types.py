"""Panels drawn from answers made by hand: what the picture holds is what was answered."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Wedge

from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS
from capstone_utils.monitoring.dashboards.panels.panel import COLORS, Box, Panel
from capstone_utils.monitoring.dashboards.render import DRAW
from capstone_utils.monitoring.prometheus.client import Series

PANELS = {panel["title"]: panel for made in DASHBOARDS.values() for panel in made()["panels"]}
START = pd.Timestamp("2026-08-01 12:00", tz="UTC")
PURPLE = COLORS["semi-dark-purple"]
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


def test_a_gauge_a_series_and_its_name_below(figure):
    drawn(figure, "Fraud rate", ("http", [0.01, 0.02]), ("stream", [0.06, 0.06]))
    assert [len(axes.texts) for axes in figure.axes] == [2, 2]
    assert {"http", "2%", "stream", "6%"} <= set(texts(figure))


def test_bars_fill_by_their_share_of_the_most_in_the_order_of_the_answers(figure):
    drawn(figure, "Drift by feature", ("amount", [1.5]), ("speed_kmh", [0.5]))
    bars = figure.axes[0].patches
    assert [bar.get_width() for bar in bars] == [1, 1, 1, 0.5]
    assert [to_hex(bar.get_facecolor()) for bar in bars[1::2]] == [RED, GREEN]
    assert texts(figure) == ["amount", "150%", "speed_kmh", "50%"]


def test_without_a_most_the_largest_bar_is_full(figure):
    drawn(figure, "Top reasons of a day", ("amount", [4]), ("speed_kmh", [1]))
    assert [bar.get_width() for bar in figure.axes[0].patches[1::2]] == [1, 0.25]


def test_a_stat_of_names_shows_each_in_the_color_of_its_value(figure):
    drawn(figure, "Checks that the challenger failed", ("money", [0]), ("gain", [0]))
    assert [(text.get_text(), text.get_color()) for text in figure.texts] == [("money", RED), ("gain", RED)]


def test_a_version_that_begins_is_marked_on_every_axis_of_time(figure):
    title, when = "Fraud rate over time", START + pd.Timedelta(seconds=1)
    series = [("http", Series({}, pd.Series([0.01, 0.02, 0.03], index=pd.date_range(START, periods=3, freq="s"))))]
    moments = mdates.date2num(series[0][1].values.index)
    panel = Panel(PANELS[title], figure, Box(0, 0, 600, 400), series, moments, [("abc decides", PURPLE, when)])
    DRAW[panel.json["type"]](panel)
    assert "abc decides" in texts(figure)
    assert [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_color() == PURPLE] == [
        mdates.date2num(when)
    ]


def test_a_long_title_is_made_small_enough_for_its_panel(figure):
    for width in (150, 600):
        title = PANELS["Fraud rate"] | {"title": "A title that is much too long for it"}
        Panel(title, figure, Box(0, 0, width, 100), [], np.array([0.0, 1.0])).draw_frame()
    small, large = (text.get_fontsize() for text in figure.texts)
    assert small < 6 < large


def test_legends_that_do_not_fit_beside_each_other_stand_below(figure):
    names = [f"a name of some length {number}" for number in range(6)]
    drawn(figure, "Fraud rate over time", *((name, [0.01, 0.02]) for name in names))
    assert figure.axes[1].get_legend()._ncols == 2


def test_a_gap_in_the_answers_is_a_gap_in_the_line(figure):
    drawn(figure, "Fraud rate over time", ("fraud rate", [0.01, None, 0.03, 0.02]))
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.01, np.nan, 0.03, 0.02])
    assert axes.get_ylim()[1] > 0.05, "the limit has to be in sight"
    assert "limit 5%" in texts(figure)


def test_lines_have_their_own_colors_and_last_values_in_the_legend(figure):
    answers = {"p50 http": [0.01, 0.011], "p95 http": [0.05, 0.051], "p99 http": [0.1, 0.3]}
    panel = drawn(figure, "Latency of a prediction", *answers.items())
    assert [line.get_color() for line in figure.axes[0].lines[:3]] == [GREEN, ORANGE, RED]
    legend = figure.axes[1].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "p50 http  11 ms",
        "p95 http  51 ms",
        "p99 http  300 ms",
    ]
    assert panel.last == [("p50 http", 0.011), ("p95 http", 0.051), ("p99 http", 0.3)]


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


@pytest.mark.parametrize("width", [230, 320, 600])
@pytest.mark.parametrize("seconds", [24, 90, 170, 3600])
def test_the_times_below_a_picture_do_not_touch(width, seconds):
    figure = plt.figure(figsize=(width / 100, 3), dpi=100)
    moments = pd.date_range(START, periods=30, end=START + pd.Timedelta(seconds=seconds))
    series = [("http", Series({}, pd.Series(0.01, index=moments)))]
    panel = PANELS["Fraud rate over time"]
    DRAW[panel["type"]](Panel(panel, figure, Box(0, 0, width, 300), series, mdates.date2num(moments)))
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    plt.close(figure)
    assert boxes
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
