"""The alerts on drift, by promtool: each rings at its limit, names what moved, and is silent below it."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from capstone_utils.monitoring.prometheus.binary import PROMETHEUS, find_program
from capstone_utils.monitoring.prometheus.rules import ALERTS

RUNBOOK = "https://github.com/OWNER/streaming-fraud-detection/blob/main/docs/runbook.md#"
RINGS = [
    ("score", "score", "ScoreDrift", "warning", "the scores are not what they were (score): 1.5 times the limit"),
    ("alerts", "fewer", "ScoreDrift", "warning", "the scores are not what they were (fewer): 1.5 times the limit"),
    *(
        (detector, "amount", "FeatureDrift", "warning", f"amount is not {usual}: 1.5 times the limit")
        for usual in ["what it was on this weekday of the weeks before"]
        for detector in ("feature", "missing", "new_device")
    ),
    (
        *("reference", "hour_of_day", "ReferenceDrift", "warning"),
        "hour_of_day has moved away from what the model was trained on: 1.5 times the limit",
    ),
    (
        *("missed_fraud", "Gift Cards", "MissedFraudHigh", "critical"),
        "the model misses more of the reported frauds than it did, most of them at Gift Cards: 1.5 times the limit",
    ),
]
ALERT_NAMES = ("ScoreDrift", "FeatureDrift", "ReferenceDrift", "MissedFraudHigh")


def case(detector: str, column: str, values: str, expected: dict[str, list]) -> dict:
    """One test of promtool: a series, and the alerts after five minutes; those not named must be silent."""
    return {
        "interval": "1m",
        "input_series": [
            {"series": f'drift_statistic_ratio{{detector="{detector}",column="{column}"}}', "values": values}
        ],
        "alert_rule_test": [
            {"eval_time": "5m", "alertname": name, "exp_alerts": expected.get(name, [])} for name in ALERT_NAMES
        ],
    }


@pytest.fixture
def promtool(monitoring_settings, tmp_path):
    """Run tests of the alerts with promtool; its output, with its exit status first."""

    def run(tests: list[dict]) -> str:
        path = tmp_path / "tests.yml"
        path.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
        program = find_program(PROMETHEUS, monitoring_settings.cache_dir).with_name("promtool")
        ended = subprocess.run([program, "test", "rules", path], capture_output=True, text=True, timeout=60)
        return f"{ended.returncode} {ended.stdout}{ended.stderr}"

    return run


def test_each_statistic_rings_its_own_alert_and_is_silent_below_its_limit(promtool):
    tests = []
    for detector, column, name, severity, summary in RINGS:
        labels = {"severity": severity, "column": column}
        annotations = {"summary": summary, "runbook_url": RUNBOOK + name.lower()}
        alert = {"exp_labels": labels, "exp_annotations": annotations}
        tests += [case(detector, column, "1.5x10", {name: [alert]}), case(detector, column, "0.99x10", {})]
    assert promtool(tests).startswith("0 "), promtool(tests)


def test_promtool_would_say_so(promtool):
    assert "FAILED" in promtool([case("feature", "amount", "1.5x10", {})])


def test_labels_have_an_alert_of_their_own(promtool):
    assert promtool([case("labels", "any", "2x10", {})]).startswith("0 ")
