"""Every rule, by promtool: where it fires, and where something like it stays silent."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from capstone_utils.monitoring.prometheus.binary import PROMETHEUS, find_program
from capstone_utils.monitoring.prometheus.rules import RULE_FILES
from capstone_utils.settings import Settings

SUMMARIES = {
    rule["alert"]: rule["annotations"]["summary"]
    for file in RULE_FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
RULES = list(SUMMARIES)
Series = dict[str, str]


def up(job: str, values: str) -> Series:
    return {f'up{{job="{job}",instance="a:1"}}': values}


def scored(total: float, fraud: float = 0, door: str = "http") -> Series:
    """So many verdicts a minute, and so many frauds among them."""
    job = {"http": "fastapi_metrics", "stream": "stream_worker"}[door]
    labels = f'{{door="{door}",job="{job}"}}'
    return {
        f"prediction_requests_total{labels}": f"0+{total}x200",
        f"fraud_predictions_total{labels}": f"0+{fraud}x200",
    }


def latency(total: float, fast: float) -> Series:
    """So many predictions a minute, and so many of them within 200 ms; none takes longer than 300."""
    rates = {"0.2": fast, "0.3": total, "+Inf": total}
    buckets = {f'prediction_latency_seconds_bucket{{door="http",le="{le}"}}': rate for le, rate in rates.items()}
    rates = buckets | {'prediction_latency_seconds_count{door="http"}': total}
    return {name: f"0+{rate}x200" for name, rate in rates.items()}


def errors(bad: float, good: float = 1000, kind: str = "failed") -> Series:
    """So many requests a minute without an answer, and so many verdicts."""
    return {f'request_errors_total{{kind="{kind}"}}': f"0+{bad}x200"} | scored(good)


def drift(detector: str, column: str, ratio: float) -> Series:
    """A drift statistic, as a share of its limit."""
    return {f'drift_statistic_ratio{{detector="{detector}",column="{column}"}}': f"{ratio}x10"}


def feedback_clock(behind: str) -> Series:
    """The stream's clock, so many seconds ahead of the last label."""
    return {"feedback_clock_seconds": behind, "feedback_last_label_seconds": "0x10"}


def missing(number: float) -> Series:
    """So many payments a minute scored without a batch feature."""
    return {'missing_batch_features_total{door="http",feature="merchant_risk"}': f"0+{number}x200"}


def once(name: str, number: int) -> Series:
    """A counter that rises by so much after ten minutes."""
    return {name: f"0x10 {number}x30"}


def model(door: str, version: str) -> Series:
    return {f'model_info{{door="{door}",version="{version}"}}': "1x20"}


# by alert: series with a sample a minute, and the minute that is looked at
FIRES: dict[str, tuple[Series, int]] = {
    "FraudRateHigh": (scored(100, 10), 15),
    "LatencyHigh": (latency(1000, 900), 5),
    "ErrorRateHigh": (errors(20, 1000, "refused"), 15),
    "ServiceDown": (up("fastapi_metrics", "0x10"), 5),
    "WorkerDown": (up("stream_worker", "0x10"), 5),
    "FeedbackDown": (up("feedback", "0x10"), 5),
    "LabelsLate": (feedback_clock("86401x10"), 5),
    "LabelsUnmatched": ({'feedback_waiting_labels{what="score"}': "21x10"}, 8),
    "OutboxBehind": ({"outbox_waiting_bytes": "2000000x10"}, 8),
    "DeletedUnread": (once("worker_deleted_unread_total", 7), 13),
    "NoTraffic": (up("fastapi_metrics", "1x30") | scored(0), 20),
    "ScoreDrift": (drift("alerts", "fewer", 1), 5),
    "FeatureDrift": (drift("missing", "speed_kmh", 1), 5),
    "ReferenceDrift": (drift("reference", "amount", 1), 5),
    "MissedFraudHigh": (drift("missed_fraud", "Gift Cards", 1), 5),
    "FeatureSkew": (once('feature_parity_mismatches_total{feature="amount"}', 1), 13),
    "BatchTablesStale": ({'batch_tables_age_days{door="http"}': "1x100"}, 70),
    "BatchFeaturesMissing": (scored(100) | missing(10), 20),
    "ModelRolledBack": (once('gate_runs_total{outcome="rolled_back"}', 1), 13),
    "ModelBelowPromise": (once('gate_runs_total{outcome="kept"}', 1), 13),
    "RetrainingFailed": (once('gate_runs_total{outcome="failed"}', 1), 13),
    "ChallengerRefused": (once('gate_runs_total{outcome="refused"}', 1), 13),
    "UnreadableBatch": (once("worker_unreadable_batches_total", 1), 13),
    "UsersOnTwoPartitions": (once("worker_moved_records_total", 3), 13),
    "WorkerFrozen": ({"worker_polled_timestamp_seconds": "0x20"}, 5),
    "WorkerRestarting": ({'worker_started_timestamp_seconds{instance="a:1"}': "0x5 300x5 600x5 900x20"}, 20),
    "LagGrowing": ({'worker_lag_records{partition="0"}': "0+500x40"}, 30),
    "LagStanding": ({'worker_lag_records{partition="0"}': "5000x20"} | scored(0, door="stream"), 10),
    "DeadLetters": ({'worker_dead_letters_total{field="amount"}': "0+10x30"} | scored(100, door="stream"), 20),
    "LostBatches": ({"worker_lost_batches_total": "0+1x30"}, 15),
    "SnapshotsFailing": (once('state_snapshots_total{outcome="failed"}', 1), 15),
    "VerdictsUnwritten": ({"unwritten_verdicts": "3x10"}, 5),
    "ModelInvalid": (once('model_reloads_total{door="http",outcome="invalid"}', 1), 14),
    "ModelsDisagree": (model("http", "a") | model("stream", "b"), 10),
    "ModelNotCompiled": ({'model_compiled{door="http"}': "0x20"}, 10),
    "Watchdog": ({}, 5),
    "LatencyBurnFast": (latency(1000, 980), 75),
    "LatencyBurnSlow": (latency(1000, 995), 180),
    "AvailabilityBurnFast": (errors(20), 75),
    "AvailabilityBurnSlow": (errors(5), 180),
}
SILENT: dict[str, tuple[Series, int]] = {
    "FraudRateHigh": (scored(10, 10), 15),  # fewer than a hundred payments
    "LatencyHigh": (latency(1000, 960), 5),
    "ErrorRateHigh": (errors(0.5, 10, "refused"), 15),  # fewer than five
    "ServiceDown": (up("fastapi_metrics", "1x10"), 5),
    "WorkerDown": (up("fastapi_metrics", "0x10"), 5),
    "FeedbackDown": (up("feedback", "1x10"), 5),
    "LabelsLate": (feedback_clock("86399x10"), 5),
    "LabelsUnmatched": ({'feedback_waiting_labels{what="clock"}': "21x10"}, 8),  # known only later
    "OutboxBehind": ({"outbox_waiting_bytes": "0 2000000 0x10"}, 8),
    "DeletedUnread": ({"worker_deleted_unread_total": "7x20"}, 13),  # long ago
    "NoTraffic": (up("fastapi_metrics", "1x30") | scored(1), 20),
    "ScoreDrift": (drift("score", "score", 0.99), 5),
    "FeatureDrift": (drift("reference", "amount", 2), 5),  # slowly, which has its own
    "ReferenceDrift": (drift("feature", "amount", 2), 5),
    "MissedFraudHigh": (drift("missed_fraud", "", 0.99), 5),
    "FeatureSkew": ({'feature_parity_mismatches_total{feature="amount"}': "1x20"}, 13),
    "BatchTablesStale": ({'batch_tables_age_days{door="http"}': "1x30 0x70"}, 70),  # half an hour after midnight
    "BatchFeaturesMissing": (scored(100) | missing(2), 20),  # new shops and users
    "ModelRolledBack": (once('gate_runs_total{outcome="promoted"}', 1), 13),
    "ModelBelowPromise": (once('gate_runs_total{outcome="refused"}', 1), 13),
    "RetrainingFailed": (once('gate_runs_total{outcome="refused"}', 1), 13),
    "ChallengerRefused": (once('gate_runs_total{outcome="promoted"}', 1), 13),
    "UnreadableBatch": ({"worker_unreadable_batches_total": "1x20"}, 13),
    "UsersOnTwoPartitions": ({"worker_moved_records_total": "3x20"}, 13),
    "WorkerFrozen": ({"worker_polled_timestamp_seconds": "0+60x20"}, 5),
    "WorkerRestarting": ({'worker_started_timestamp_seconds{instance="a:1"}': "0x10 600x20"}, 20),  # once
    "LagGrowing": ({'worker_lag_records{partition="0"}': "20000-500x30"}, 25),  # much, and less every minute
    "LagStanding": ({'worker_lag_records{partition="0"}': "5000x20"} | scored(100, door="stream"), 10),
    "DeadLetters": ({'worker_dead_letters_total{field="amount"}': "0+0.1x30"} | scored(1, door="stream"), 20),
    "LostBatches": (once("worker_lost_batches_total", 1), 13),
    "SnapshotsFailing": ({'worker_snapshots_total{outcome="written"}': "0+1x30"}, 15),
    "VerdictsUnwritten": ({"unwritten_verdicts": "0x10"}, 5),
    "ModelInvalid": (once('model_reloads_total{door="http",outcome="loaded"}', 1), 14),
    "ModelsDisagree": (model("http", "a") | model("stream", "a"), 10),
    "ModelNotCompiled": ({'model_compiled{door="http"}': "1x20"}, 10),
    "LatencyBurnFast": (latency(0.1, 0.05), 75),  # half of six
    "LatencyBurnSlow": (latency(2000, 1999), 180),
    "AvailabilityBurnFast": (errors(50, 1000, "refused"), 75),  # the callers' own fault
    "AvailabilityBurnSlow": (errors(0), 180),
}


# What else the same cause rings: the same requests, counted over longer, or by another measure.
WITH = {
    "LatencyHigh": {"LatencyBurnFast"},
    "LatencyBurnFast": {"LatencyBurnSlow"},
    "AvailabilityBurnFast": {"AvailabilityBurnSlow", "ErrorRateHigh"},
}
# What rings nothing at all, by what it is.
CALM: dict[str, tuple[Series, int]] = {
    "probes and scanners": (
        {f'other_errors_total{{status="{status}"}}': "0+600x30" for status in (401, 404, 405)}
        | scored(100)
        | errors(0)
        | up("fastapi_metrics", "1x30"),
        20,
    ),
    "three bad requests at night": (
        scored(0)
        | {
            'prediction_requests_total{door="http",job="fastapi_metrics"}': "0x10 3x30",
            'fraud_predictions_total{door="http",job="fastapi_metrics"}': "0x10 3x30",
            'request_errors_total{kind="failed"}': "0x10 3x30",
            'prediction_latency_seconds_bucket{door="http",le="0.2"}': "0x40",
            'prediction_latency_seconds_bucket{door="http",le="1.0"}': "0x10 3x30",
            'prediction_latency_seconds_bucket{door="http",le="+Inf"}': "0x10 3x30",
            'prediction_latency_seconds_count{door="http"}': "0x10 3x30",
        },
        13,
    ),
    "labels that are said to come from the future": (drift("labels", "any", 2), 5),
}
RINGING = 'group by (alertname) (ALERTS{alertstate="firing", severity!="none"})'


def test_every_rule_has_a_case_where_it_fires_and_one_where_it_is_silent():
    assert list(FIRES) == RULES
    assert list(SILENT) == [name for name in RULES if name != "Watchdog"]
    assert WITH.keys() <= FIRES.keys()


def promtool(tmp_path, cases: dict[str, tuple[Series, int]], question: dict) -> str:
    """The exit status of promtool's tests, and what it said: each case is asked its question, name by name."""
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in inputs.items()],
            "promql_expr_test": [{"eval_time": f"{minute}m"} | question[name]],
        }
        for name, (inputs, minute) in cases.items()
    ]
    file = tmp_path / "tests.yml"
    content = {"rule_files": [str(path) for path in RULE_FILES], "evaluation_interval": "1m", "tests": tests}
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    program = find_program(PROMETHEUS, Settings.from_environment().cache_dir).with_name("promtool")
    result = subprocess.run([program, "test", "rules", file], capture_output=True, text=True)
    return f"{result.returncode} {result.stdout}{result.stderr}"


def only(*names: str) -> dict:
    """That these alerts ring, and nothing else."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)]
    return {"expr": RINGING, "exp_samples": samples}


def test_each_cause_rings_its_own_alert_and_nothing_else(tmp_path):
    questions = {name: only(name, *WITH.get(name, ())) for name in FIRES if name != "Watchdog"}
    cases = {name: case for name, case in FIRES.items() if name in questions}
    assert promtool(tmp_path, cases, questions).startswith("0 "), promtool(tmp_path, cases, questions)


def test_what_is_like_a_cause_and_none_rings_nothing(tmp_path):
    silent = {
        name: {"expr": f'ALERTS{{alertname="{name}", alertstate="firing"}}', "exp_samples": []} for name in SILENT
    } | {name: only() for name in CALM}
    assert promtool(tmp_path, SILENT | CALM, silent).startswith("0 "), promtool(tmp_path, SILENT | CALM, silent)


def test_the_watchdog_always_rings_and_promtool_would_say_so_if_not(tmp_path):
    rings = {"expr": 'count(ALERTS{alertname="Watchdog", alertstate="firing"})'}
    cases = {"Watchdog": FIRES["Watchdog"]}
    for number, status in ((1, "0 "), (2, "1 ")):
        question = {"Watchdog": rings | {"exp_samples": [{"labels": "{}", "value": number}]}}
        assert promtool(tmp_path, cases, question).startswith(status)


@pytest.mark.parametrize("name", [name for name in RULES if name != "Watchdog"])
def test_a_summary_says_the_value_or_who_is_meant(name):
    assert re.search(r"\{\{ *\$(value|labels)\b", SUMMARIES[name])
