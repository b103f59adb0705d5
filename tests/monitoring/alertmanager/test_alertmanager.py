"""A real Alertmanager: a page arrives, what follows from another alert is held back, each name is a rule."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest
import yaml

from capstone_utils.monitoring.alertmanager.pager import Pager
from capstone_utils.monitoring.alertmanager.server import (
    CONFIG,
    Alertmanager,
    AlertmanagerError,
    configuration,
    start_alertmanager,
)
from capstone_utils.monitoring.prometheus.rules import RULE_FILES
from capstone_utils.monitoring.prometheus.server import start_prometheus
from capstone_utils.settings import InvalidSetting

FACTOR = 20  # ten seconds of waiting are half a second here
RULES = {
    rule["alert"]: rule
    for file in RULE_FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


@pytest.fixture(scope="module")
def pager():
    with Pager() as listening:
        yield listening


@pytest.fixture(scope="module")
def settings(monitoring_settings, tmp_path_factory):
    return replace(monitoring_settings, alertmanager_port=0, work_dir=tmp_path_factory.mktemp("alertmanager"))


@pytest.fixture(scope="module")
def alertmanager(settings, pager):
    with start_alertmanager(settings, pager.url, FACTOR) as running:
        yield running


def labels_of(name: str, **labels: str) -> dict[str, str]:
    """The labels of an alert of the rules."""
    return labels | {"alertname": name, "severity": RULES[name]["labels"]["severity"]}


def ring(alertmanager: Alertmanager, name: str, **labels: str) -> None:
    """Hand over an alert as Prometheus does."""
    alert = {
        "labels": labels_of(name, **labels),
        "annotations": {"summary": f"{name} rings", "runbook_url": "http://127.0.0.1/runbook"},
    }
    httpx.post(f"{alertmanager.url}/api/v2/alerts", json=[alert]).raise_for_status()


def test_an_alert_of_prometheus_arrives_at_the_pager(alertmanager, pager, toy, own_settings, tmp_path, wait_until):
    rules = tmp_path / "rules.yml"
    rule = {
        "alert": "Fire",
        "expr": "up == 1",
        "labels": {"severity": "critical"},
        "annotations": {"summary": "{{ $value }}"},
    }
    rules.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
    with start_prometheus(own_settings, toy.targets, "500ms", [rules], alertmanager.address):
        wait_until(lambda: any(page.alert == "Fire" for page in pager.pages))
    (page, *_) = [page for page in pager.pages if page.alert == "Fire"]
    assert (page.receiver, page.status, page.summary) == ("page", "firing", "1")


# What rings with which labels, what it silences of others, and what rings on beside it.
SILENCED = {
    "ServiceDown": (
        {"job": "fastapi_metrics"},
        [
            ("LatencyHigh", {"door": "http"}),
            ("LatencyBurnFast", {"door": "http"}),
            ("OutboxBehind", {"job": "fastapi_metrics"}),
        ],
        [("LatencyHigh", {"door": "stream"}), ("NoTraffic", {"job": "stream_worker"})],
    ),
    "WorkerFrozen": (
        {"job": "stream_worker"},
        [("LagGrowing", {}), ("LagStanding", {}), ("NoTraffic", {"job": "stream_worker"})],
        [("LatencyBurnFast", {"door": "http"}), ("FraudRateHigh", {"door": "stream"})],
    ),
    "FeedbackDown": (
        {"job": "feedback"},
        [("LabelsLate", {}), ("MissedFraudHigh", {"column": "x"})],
        [("DeadLetters", {})],
    ),
}


@pytest.mark.parametrize("name", SILENCED)
def test_what_follows_from_a_dead_part_is_silenced_and_the_rest_rings_on(settings, pager, wait_until, tmp_path, name):
    labels, follows, beside = SILENCED[name]
    with start_alertmanager(replace(settings, work_dir=tmp_path), pager.url, FACTOR) as alertmanager:
        ring(alertmanager, name, **labels)
        for other, own in follows + beside:
            ring(alertmanager, other, **own)

        def states() -> list[str]:
            held = httpx.get(f"{alertmanager.url}/api/v2/alerts").json()
            found = {tuple(sorted(alert["labels"].items())): alert["status"]["state"] for alert in held}
            return [found.get(tuple(sorted(labels_of(other, **own).items())), "") for other, own in follows + beside]

        wait_until(lambda: states() == ["suppressed"] * len(follows) + ["active"] * len(beside))


def test_severity_says_who_is_called(alertmanager, wait_until):
    ring(alertmanager, "ScoreDrift", door="stream")
    wait_until(lambda: any(alert.name == "ScoreDrift" for alert in alertmanager.alerts()))
    assert {alert.receivers for alert in alertmanager.alerts() if alert.name == "ScoreDrift"} == {("ticket",)}


def test_a_second_start_finds_the_running_one_and_sends_to_the_new_pager(settings, alertmanager, pager, wait_until):
    with Pager() as other:
        with start_alertmanager(settings, other.url, FACTOR) as second:
            assert (second.started, second.port) == (False, alertmanager.port)
            ring(alertmanager, "WorkerDown", job="stream_worker")
            wait_until(lambda: any(page.alert == "WorkerDown" for page in other.pages))
        start_alertmanager(settings, pager.url, FACTOR)
    assert alertmanager.running()


def test_a_taken_port_is_named(alertmanager, own_settings):
    settings = replace(own_settings, alertmanager_port=alertmanager.port)
    with pytest.raises(AlertmanagerError, match=f"CAPSTONE_ALERTMANAGER_PORT={alertmanager.port}: the Alertmanager"):
        start_alertmanager(settings, "http://127.0.0.1:1")
    with Pager() as holder:
        port = int(holder.url.rpartition(":")[2])
        with pytest.raises(InvalidSetting, match=f"CAPSTONE_PAGER_PORT={port}: the pager cannot listen there"):
            Pager(port=port)


def test_every_alert_that_the_configuration_names_is_a_rule():
    inhibit = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["inhibit_rules"]
    matchers = [matcher for rule in inhibit for part in rule.values() for matcher in part]
    names = {name for matcher in matchers for name in re.findall(r'alertname=~?"(.*?)"', matcher)}
    unknown = {name for name in names if not any(re.fullmatch(name, alert) for alert in RULES)}
    assert {part for name in names for part in name.split("|") if "." not in part} <= RULES.keys()
    assert unknown == set()


def test_waiting_times_shrink_and_the_pager_is_the_given_one():
    content = configuration("http://127.0.0.1:9", 10)
    assert content["route"]["group_wait"] == "1s"
    assert content["receivers"][0]["webhook_configs"] == [{"url": "http://127.0.0.1:9/page"}]
    with pytest.raises(ValueError, match=r"factor=0.5"):
        configuration("http://127.0.0.1:9", 0.5)


@pytest.mark.parametrize(
    ("body", "status"), [(b"{}", 400), (b"", 411), (b"x" * 2_000_000, 413)], ids=["nothing known", "empty", "too long"]
)
def test_the_pager_takes_only_alertmanagers_messages(pager, body, status):
    before = len(pager.pages)
    assert httpx.post(f"{pager.url}/page", content=body).status_code == status
    assert len(pager.pages) == before
