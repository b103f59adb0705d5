"""Alerts: each one rings for its own cause, and for nothing else; their durations shrink for a notebook."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from capstone_utils.monitoring.prometheus.durations import duration_ms, shorten_windows
from capstone_utils.monitoring.prometheus.rules import ALERTS, CONFIG, faster, scrape_configuration

JOB = "fastapi_metrics"
CAUSES = {
    "FeatureSkew": {"skew_share": 0.02},
    "FraudRateHigh": {"fraud_share": 0.12},
    "LatencyHigh": {"latency_seconds": 0.4, "requests_per_second": 5.0},  # a service that is stuck answers few
    "ErrorRateHigh": {"error_share": 0.1},
    "NoTraffic": {"requests_per_second": 0.0},
}


def rules_of(path: Path) -> dict[str, dict]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def wait_until_quiet(prometheus):
    prometheus.wait_for(lambda: all(alert.state == "inactive" for alert in prometheus.alerts()), 60)


def wait_until_firing(prometheus, name):
    """The alert, as it was when first seen firing."""
    return prometheus.wait_for(
        lambda: [alert for alert in prometheus.alerts() if alert.name == name and alert.state == "firing"], 60
    )[0]


def first_seen(prometheus, since: float) -> dict[tuple[str, str], pd.Timestamp]:
    """When each (alert, state) was first recorded after `since`."""
    recorded = prometheus.series('ALERTS{severity!="none"}', since, time.time(), 0.25)
    return {(each.labels["alertname"], each.labels["alertstate"]): each.values.index[0] for each in recorded}


@pytest.mark.parametrize(("name", "cause"), CAUSES.items(), ids=CAUSES)
def test_an_alert_is_pending_then_firing_for_its_own_cause_alone_and_resolves(prometheus, toy, name, cause):
    wait_until_quiet(prometheus)
    since = time.time()
    with toy.changed(**cause):
        firing = wait_until_firing(prometheus, name)
    wait_until_quiet(prometheus)

    seen = first_seen(prometheus, since)
    assert seen[name, "pending"] < seen[name, "firing"]
    assert {alert for alert, state in seen if state == "firing"} == {name}
    assert since < firing.since.timestamp() < time.time()
    assert firing.severity == rules_of(ALERTS)[name]["labels"]["severity"]
    assert "{{" not in firing.summary, "the summary's template was not filled in"


@pytest.mark.parametrize(
    ("name", "drifted"),
    [
        ("ScoreDrift", ("score", "score")),
        ("FeatureDrift", ("new_device", "is_new_device")),
        ("ReferenceDrift", ("reference", "hour_of_day")),
        ("MissedFraudHigh", ("missed_fraud", "Gift Cards")),
    ],
)
def test_drift_rings_at_once_names_what_moved_and_resolves(prometheus, toy, name, drifted):
    wait_until_quiet(prometheus)
    since = time.time()
    with toy.changed(drifted=drifted):
        firing = wait_until_firing(prometheus, name)
    wait_until_quiet(prometheus)
    assert {alert for alert, state in first_seen(prometheus, since) if state == "firing"} == {name}
    assert drifted[1] in firing.summary


def test_a_service_that_does_not_answer_is_reported_until_it_does_again(prometheus, toy):
    wait_until_quiet(prometheus)
    since = time.time()
    toy.close()
    try:
        firing = wait_until_firing(prometheus, "ServiceDown")
        assert [target.health for target in prometheus.targets()] == ["down"]
    finally:
        toy.listen()
    wait_until_quiet(prometheus)

    seen = first_seen(prometheus, since)
    assert seen["ServiceDown", "pending"] < seen["ServiceDown", "firing"]
    assert {alert for alert, state in seen if state == "firing"} == {"ServiceDown"}
    assert toy.address in firing.summary


def test_a_fraud_wave_at_the_stream_s_door_rings_and_says_at_which_door(stream_prometheus, stream_toy):
    wait_until_quiet(stream_prometheus)
    with stream_toy.changed(fraud_share=0.12):
        firing = wait_until_firing(stream_prometheus, "FraudRateHigh")
    assert "at the door stream" in firing.summary


@pytest.mark.parametrize(
    ("counted", "name"),
    [("deleted_unread", "DeletedUnread"), ("unreadable", "UnreadableBatch"), ("moved", "UsersOnTwoPartitions")],
)
def test_records_that_were_deleted_unread_or_cannot_be_read_or_lie_elsewhere_are_reported(
    stream_prometheus, stream_toy, counted, name
):
    wait_until_quiet(stream_prometheus)
    since = time.time()
    setattr(stream_toy, counted, getattr(stream_toy, counted) + 7)
    firing = wait_until_firing(stream_prometheus, name)
    wait_until_quiet(stream_prometheus)
    assert {alert for alert, state in first_seen(stream_prometheus, since) if state == "firing"} == {name}
    assert firing.severity == rules_of(ALERTS)[name]["labels"]["severity"]


def test_a_worker_that_does_not_answer_is_reported(stream_prometheus, stream_toy):
    wait_until_quiet(stream_prometheus)
    since = time.time()
    stream_toy.close()
    try:
        firing = wait_until_firing(stream_prometheus, "WorkerDown")
    finally:
        stream_toy.listen()
    wait_until_quiet(stream_prometheus)
    assert {alert for alert, state in first_seen(stream_prometheus, since) if state == "firing"} == {"WorkerDown"}
    assert stream_toy.address in firing.summary


def test_metrics_that_are_missing_altogether_are_no_traffic(quiet_prometheus, quiet_toy):
    with quiet_toy.changed(silent=True):
        states = quiet_prometheus.wait_for(
            lambda: {alert.name: alert.state for alert in quiet_prometheus.alerts() if alert.state != "inactive"}
        )
    assert states == {"NoTraffic": "pending"}


def test_three_bad_requests_at_night_ring_no_alert(quiet_prometheus, quiet_toy):
    def scrapes():
        return quiet_prometheus.value("count_over_time(prediction_requests_total[10m])")

    # `increase` adds what it may have missed at the window's ends: from two scrapes alone it makes twice the count.
    quiet_prometheus.wait_for(lambda: scrapes() >= 6)
    since = time.time()
    with quiet_toy.changed(fraud_share=1.0, error_share=1.0, latency_seconds=1.0):
        quiet_toy.serve(3)
    share = "sum(increase(fraud_predictions_total[10s])) / sum(increase(prediction_requests_total[10s]))"
    quiet_prometheus.wait_for(lambda: quiet_prometheus.value(share) == 1)
    before = scrapes()
    quiet_prometheus.wait_for(lambda: scrapes() >= before + 8)  # as long as the alerts' windows and `for` of a minute
    seen = first_seen(quiet_prometheus, since)
    assert {alert for alert, _ in seen} <= {"NoTraffic", "LatencyHigh"}
    assert ("LatencyHigh", "firing") not in seen, "three slow requests at once are no slow service"


def test_faster_rules_differ_in_their_durations_alone(tmp_path):
    shrunk, real = rules_of(faster(ALERTS, 20, tmp_path / "rules.yml")), rules_of(ALERTS)
    assert shrunk.keys() == real.keys()
    assert shrunk["FraudRateHigh"]["for"] == "6s"
    assert shrunk["FraudRateHigh"]["expr"] == real["FraudRateHigh"]["expr"].replace("[5m]", "[15s]")
    for name, rule in shrunk.items():
        assert ("for" in rule) == ("for" in real[name])
        if "for" in rule:
            assert duration_ms(rule["for"]) * 20 == duration_ms(real[name]["for"])
        assert rule["annotations"] == real[name]["annotations"]


def test_rules_are_not_made_slower(tmp_path):
    with pytest.raises(ValueError, match=r"factor=0\.5 .* 1 or more"):
        faster(ALERTS, 0.5, tmp_path / "rules.yml")


@pytest.mark.parametrize(
    ("promql", "sixty_times_as_fast"),
    [
        ("rate(x[5m])", "rate(x[5s])"),
        ("rate(x[ 5m ] offset 1h)", "rate(x[ 5s ] offset 60s)"),
        ("max_over_time(rate(x[5m])[1h:1m])", "max_over_time(rate(x[5s])[60s:1s])"),
        ("max_over_time(x[1h:])", "max_over_time(x[60s:])"),
        ("x[1m30s] offset -1m", "x[1500ms] offset -1s"),
        ("rate(x[$__rate_interval])", "rate(x[$__rate_interval])"),
        ('x{a="[5m] offset 5m", b="\\"[5m]"}[5m]', 'x{a="[5m] offset 5m", b="\\"[5m]"}[5s]'),
        ("x{a='[5m]', b=`[5m]`}", "x{a='[5m]', b=`[5m]`}"),
        ("job:latency:5m > 300", "job:latency:5m > 300"),
    ],
)
def test_windows_steps_and_offsets_shrink_and_nothing_else(promql, sixty_times_as_fast):
    assert shorten_windows(promql, 60) == sixty_times_as_fast


@pytest.mark.parametrize("text", ["5", "m5", "5 m", "1.5m", "-5m", "", "5mm"])
def test_what_is_no_duration_is_named(text):
    with pytest.raises(ValueError, match=f"'{text}' is not a Prometheus duration"):
        duration_ms(text)


def test_the_configuration_is_dockers_with_other_addresses():
    told = scrape_configuration({JOB: "127.0.0.1:8001"})
    docker = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    assert told["scrape_configs"] == [{"job_name": JOB, "static_configs": [{"targets": ["127.0.0.1:8001"]}]}]
    assert told["global"] == docker["global"] == {"scrape_interval": "5s", "evaluation_interval": "5s"}
    assert told["rule_files"] == [str(CONFIG.with_name(name)) for name in docker["rule_files"]]


def test_an_unknown_job_is_refused():
    with pytest.raises(ValueError, match=r"targets names the job 'fastapi'; prometheus\.yml has fastapi_metrics"):
        scrape_configuration({"fastapi": "127.0.0.1:8001"})


def test_rules_that_would_stay_silent_at_the_scrape_interval_are_refused(tmp_path):
    rules = faster(ALERTS, 30, tmp_path / "rules.yml")
    with pytest.raises(ValueError, match="LatencyHigh looks back 2s, too short for a scrape every 1s"):
        scrape_configuration({JOB: "127.0.0.1:8001"}, [rules], "1s")


def test_the_rules_watch_the_jobs_that_are_scraped():
    jobs = {job["job_name"] for job in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["scrape_configs"]}
    assert set(re.findall(r'job="(\w+)"', ALERTS.read_text(encoding="utf-8"))) == jobs
