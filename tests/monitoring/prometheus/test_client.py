"""Questions to a real Prometheus: numbers, tables, series, and errors that say what to do."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest

from benchmarks.toy_house import SERVICE
from capstone_utils.monitoring.prometheus.client import PrometheusClient, PrometheusError
from capstone_utils.monitoring.prometheus.server import Prometheus


@pytest.fixture
def watched(prometheus: Prometheus) -> Prometheus:
    """The Prometheus, once it has seen traffic."""
    prometheus.wait_for(lambda: prometheus.value("sum(increase(prediction_requests_total[10s]))") > 0)
    return prometheus


def test_a_query_is_a_table_of_labels_and_values(watched, toy):
    table = watched.query("up")
    assert dict(zip(table["job"], table["instance"], strict=True)) == toy.targets
    assert table.loc[0, "value"] > 0
    assert watched.query("fraud_probability_bucket").columns.tolist()[-2:] == ["le", "value"]


def test_a_query_for_a_number_without_series_is_a_table_too(prometheus):
    assert prometheus.query("scalar(vector(1)) + 1").to_dict("list") == {"value": [2.0]}


def test_one_number_is_a_number_and_no_data_is_nan(watched):
    assert watched.value("sum(up)") == 3
    assert np.isnan(watched.value("no_such_metric"))
    assert watched.query("no_such_metric").empty


def test_several_series_are_not_one_number(watched):
    with pytest.raises(PrometheusError, match=r"is \d+ series, not one number; .* sum\(fraud_probability_bucket\)"):
        watched.value("fraud_probability_bucket")


def test_a_range_has_a_row_a_step_and_a_column_a_series(watched, toy):
    end = time.time()
    watched.wait_for(lambda: watched.value("max(timestamp(up))") > end)
    frame = watched.query_range("up", end - 1, end, 0.5)
    assert f'up{{instance="{toy.targets[SERVICE]}", job="fastapi_metrics"}}' in frame.columns
    assert str(frame.index.tz) == "UTC"
    assert frame.index[-1].timestamp() == pytest.approx(end, abs=0.001)
    assert frame.iloc[-1, 0] == 1
    assert list(watched.query_range("sum(up)", end - 1, end, 0.5).columns) == ["value"]


def test_the_series_of_a_range_keep_their_labels_apart(watched):
    end = time.time()
    found = watched.series("sum by (le) (fraud_probability_bucket)", end - 1, end, 0.5)
    assert "0.5" in {series.labels["le"] for series in found}
    assert all(set(series.labels) == {"le"} for series in found)


def test_targets_say_what_is_scraped(watched, toy):
    assert sorted(watched.targets()) == sorted((job, address, "up", "") for job, address in toy.targets.items())


def test_alerts_are_listed_while_they_are_inactive(prometheus):
    alerts = {alert.name: alert for alert in prometheus.alerts()}
    assert list(alerts)[:2] == ["FraudRateHigh", "LatencyHigh"]
    assert alerts["ServiceDown"].state == "inactive"
    assert alerts["ServiceDown"].since is None
    assert alerts["ServiceDown"].runbook_url.endswith("/docs/runbook.md#servicedown")


def test_the_scrape_interval_is_told_in_seconds(prometheus):
    assert prometheus.scrape_interval_seconds() == 0.5


def test_refused_promql_is_shown_with_prometheus_own_words(prometheus):
    with pytest.raises(PrometheusError, match=r"refused sum\(up: .*parse error: unclosed left parenthesis"):
        prometheus.query("sum(up")


def test_nobody_at_the_port_is_said_so():
    with socket.socket() as taken_but_deaf:
        taken_but_deaf.bind(("127.0.0.1", 0))
        client = PrometheusClient(f"http://127.0.0.1:{taken_but_deaf.getsockname()[1]}")
        assert not client.ready()
        with pytest.raises(PrometheusError, match=rf"does not answer at {client.url} .*is it running\?"):
            client.value("up")


def test_something_else_at_the_port_is_said_so(toy):
    with pytest.raises(PrometheusError, match="not as a Prometheus does"):
        PrometheusClient(f"http://{toy.targets[SERVICE]}").value("up")


def test_waiting_returns_what_came_true_and_else_says_how_things_stood(watched, toy):
    assert watched.wait_for(lambda: "yes") == "yes"
    with pytest.raises(
        TimeoutError, match=rf"not met within 0.2 s\. Targets: .*{toy.targets[SERVICE]} is up.*LatencyHigh inactive"
    ):
        watched.wait_for(lambda: False, deadline_seconds=0.2)
