"""Alerts in a real Prometheus: pending, firing, resolved; and their durations shrink for a notebook.

Where each rule fires and where it is silent is asked of promtool (test_every_rule.py), which need not wait; each one's
cause was injected once for real (benchmarks/alerts.py, docs/alerts.md).
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks.toy_house import FEEDBACK, SERVICE, WORKER
from capstone_utils.monitoring.dashboards.duty import RINGING
from capstone_utils.monitoring.prometheus.durations import duration_ms, shorten_windows
from capstone_utils.monitoring.prometheus.rules import ALERTS, CONFIG, RULE_FILES, faster, scrape_configuration

JOB = "fastapi_metrics"
DOWN = {"ServiceDown": SERVICE, "WorkerDown": WORKER, "FeedbackDown": FEEDBACK}


def rules_of(path: Path) -> dict[str, dict]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def wait_until_quiet(prometheus):
    prometheus.wait_for(lambda: all(alert.state == "inactive" for alert in prometheus.alerts()), 90)


def firing(prometheus) -> dict:
    return {alert.name: alert for alert in prometheus.alerts() if alert.state == "firing"}


def first_seen(prometheus, since: float) -> dict[tuple[str, str], pd.Timestamp]:
    """When each (alert, state) was first recorded after `since`."""
    recorded = prometheus.series('ALERTS{severity!="none"}', since, time.time(), 0.25)
    return {(each.labels["alertname"], each.labels["alertstate"]): each.values.index[0] for each in recorded}


def test_an_alert_is_pending_then_firing_for_its_own_cause_alone_and_resolves(prometheus, toy):
    wait_until_quiet(prometheus)
    since = time.time()
    with toy.changed(toy.traffic["stream"], fraud_share=0.12):
        rang = prometheus.wait_for(lambda: firing(prometheus).get("FraudRateHigh"), 60)
        rows = prometheus.query(RINGING)  # what the panel of alerts asks
    wait_until_quiet(prometheus)

    states = dict(zip(rows["alertname"], rows["value"], strict=True))
    assert states["FraudRateHigh"] == 2
    assert "no alert" not in states
    assert dict(prometheus.query(RINGING)[["alertname", "value"]].to_numpy()) == {"no alert": 0}

    seen = first_seen(prometheus, since)
    assert seen["FraudRateHigh", "pending"] < seen["FraudRateHigh", "firing"]
    # On a busy machine a scrape may come late: that a part is down says nothing against this rule.
    assert {alert for alert, state in seen if state == "firing"} - DOWN.keys() == {"FraudRateHigh"}
    assert since < rang.since.timestamp() < time.time()
    assert rang.severity == rules_of(ALERTS)["FraudRateHigh"]["labels"]["severity"]
    assert re.match(r"\d+\.?\d*% of the payments at the door stream", rang.summary), "the template was not filled in"


def test_what_does_not_answer_is_reported_until_it_does_again(prometheus, toy):
    wait_until_quiet(prometheus)
    since = time.time()
    for exporter in toy.exporters.values():
        exporter.close()
    try:
        rang = prometheus.wait_for(lambda: found if DOWN.keys() <= (found := firing(prometheus)).keys() else None, 60)
        assert {target.health for target in prometheus.targets()} == {"down"}
    finally:
        for exporter in toy.exporters.values():
            exporter.listen()
    wait_until_quiet(prometheus)

    seen = first_seen(prometheus, since)
    for name, job in DOWN.items():
        assert seen[name, "pending"] < seen[name, "firing"]
        assert toy.targets[job] in rang[name].summary


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


def test_a_groups_interval_shrinks_with_its_windows(tmp_path):
    for file in RULE_FILES:
        shrunk = yaml.safe_load(faster(file, 30, tmp_path / file.name).read_text())["groups"]
        real = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        assert [duration_ms(group["interval"]) * 30 for group in shrunk if "interval" in group] == [
            duration_ms(group["interval"]) for group in real if "interval" in group
        ]


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
