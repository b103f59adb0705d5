"""Grafana's dashboard, asked of a real Prometheus: every panel answers, and agrees with the alerts."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import yaml

from capstone_utils.course.authoring.metrics_page import families, named_in
from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS, dashboard_file
from capstone_utils.monitoring.dashboards.definition import DOOR
from capstone_utils.monitoring.dashboards.duty import duty
from capstone_utils.monitoring.dashboards.render import rate_interval, render_dashboard
from capstone_utils.monitoring.prometheus.rules import ALERTS

FACTOR = 30  # of the rules that the Prometheus of the tests follows
PANELS = {panel["title"]: panel for made in DASHBOARDS.values() for panel in made()["panels"]}
RULES = {
    rule["alert"]: rule["expr"]
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"][:1]  # those that the course shows
    for rule in group["rules"]
}


@pytest.fixture
def watched(prometheus):
    """The Prometheus, once it has seen traffic of both doors."""
    busy = "count(sum by (door) (rate(prediction_requests_total[2s])) > 0)"
    prometheus.wait_for(lambda: prometheus.value(busy) == 2)
    return prometheus


def render(prometheus, path: Path, factor: float = FACTOR, seconds: float = 15.0, **choices: str):
    end = time.time()
    figure = render_dashboard(prometheus, path, end - seconds, end, factor, **choices)
    plt.close(figure)
    return figure


def texts(figure) -> list[str]:
    return [text.get_text() for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]]


def dashboard_with(tmp_path: Path, title: str, **target: str) -> Path:
    """A dashboard that has the panel of this title alone, its first target changed."""
    panel = json.loads(json.dumps(PANELS[title]))
    panel["targets"] = [panel["targets"][0] | target]
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(duty() | {"panels": [panel]}))
    return path


def test_every_panel_of_duty_has_something_to_show_where_the_service_alone_is_scraped():
    service = set().union({"ALERTS", "up"}, *(each.series for each in families() if "service" in each.emitters))
    for panel in duty()["panels"]:
        asked = [named_in(target["expr"]) or {"up"} for target in panel["targets"]]  # `up` has no underscore
        assert any(names <= service for names in asked), panel["title"]


def test_a_door_can_be_chosen_and_all_of_them_are_shown_where_none_is(watched, tmp_path):
    path = dashboard_with(tmp_path, "Fraud rate")
    assert {"http", "stream"} <= set(texts(render(watched, path)))
    assert "stream" not in texts(render(watched, path, door="http"))
    with pytest.raises(ValueError, match="has no variable doors; it has door"):
        render(watched, path, doors="http")


def test_a_query_for_what_nobody_emits_says_no_data(watched, tmp_path):
    path = dashboard_with(tmp_path, "Total predictions", expr="sum(no_such_metric)")
    assert "no data" in texts(render(watched, path))


def test_the_number_shown_is_prometheus_number(watched, tmp_path):
    path = dashboard_with(tmp_path, "Total predictions", expr="max(up) * 12345")
    assert "12,345" in texts(render(watched, path))


def test_written_out_windows_shrink_as_those_of_the_rules_did(watched, tmp_path):
    yesterday = "sum(rate(prediction_requests_total[1d] offset 1d))"  # two seconds, when a day passes in two
    path = dashboard_with(tmp_path, "Total predictions", expr=yesterday)
    watched.wait_for(lambda: watched.value("sum(rate(prediction_requests_total[2s] offset 2s))") > 0)
    assert "no data" not in texts(render(watched, path, factor=43_200))
    assert "no data" in texts(render(watched, path, factor=1))


def test_a_panel_type_that_cannot_be_drawn_is_named(prometheus, tmp_path):
    path = tmp_path / "dashboard.json"
    path.write_text(json.dumps(duty() | {"panels": [PANELS["Fraud rate"] | {"type": "piechart"}]}))
    with pytest.raises(ValueError, match="panels of type piechart cannot be drawn; only stat, gauge"):
        render(prometheus, path)


def test_an_unknown_variable_is_named(prometheus, tmp_path):
    path = dashboard_with(tmp_path, "Fraud rate", expr="sum(rate(x[$__range]))")
    with pytest.raises(
        ValueError, match=r"\$__range.* has a variable other than \$__interval, \$__rate_interval, \$door"
    ):
        render(prometheus, path)


def test_a_time_shorter_than_two_scrapes_is_refused(prometheus):
    with pytest.raises(ValueError, match=r"end is 0\.9 s after start; a picture needs two scrapes, 1 s"):
        render(prometheus, dashboard_file("duty"), seconds=0.9)


def test_the_rate_interval_holds_four_scrapes_or_a_step_and_a_scrape():
    assert rate_interval(step_seconds=1, scrape_seconds=5) == "20000ms"
    assert rate_interval(step_seconds=60, scrape_seconds=5) == "65000ms"


def test_the_briefs_panels_ask_the_briefs_questions():
    assert PANELS["Total predictions"]["targets"][0]["expr"] == f"sum(prediction_requests_total{{{DOOR}}})"
    assert PANELS["Fraudulent predictions"]["targets"][0]["expr"] == f"sum(fraud_predictions_total{{{DOOR}}})"
    p95 = "histogram_quantile(0.95, sum(rate(prediction_latency_seconds_bucket[1m])) by (le, door))"  # each door's own
    assert PANELS["Latency, 95th percentile"]["targets"][0]["expr"].replace(f"{{{DOOR}}}", "") == p95
    assert RULES["LatencyHigh"].startswith(p95)


@pytest.mark.parametrize(
    ("title", "alert"),
    [
        ("Fraud rate", "FraudRateHigh"),
        ("Fraud rate over time", "FraudRateHigh"),
        ("Latency, 95th percentile", "LatencyHigh"),
        ("Latency of a prediction", "LatencyHigh"),
        ("Error rate", "ErrorRateHigh"),
        ("Error rate over time", "ErrorRateHigh"),
        ("Share called fraud", "FraudRateHigh"),
        ("Scores that wait for the topic", "OutboxBehind"),
    ],
)
def test_a_panel_turns_red_where_its_alert_begins(title, alert):
    (limit,) = re.findall(r"> ([\d.e]+)", RULES[alert])
    red = PANELS[title]["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]
    assert (red["color"], red["value"]) == ("semi-dark-red", float(limit))
