"""The dashboard of whoever answers for the model: its scores, its inputs, its calibration, and its challengers."""

from __future__ import annotations

from capstone_utils.monitoring.dashboards.definition import (
    DOOR,
    GREEN,
    ORANGE,
    PURPLE,
    RATE,
    RED,
    SOURCE,
    Json,
    alarm,
    bargauge,
    dashboard,
    limits,
    panel,
    stat,
    timeseries,
    variable,
)
from capstone_utils.monitoring.dashboards.door_panels import DOOR_VARIABLE

OF_VERSION = 'and on (door) model_info{version=~"$version"}'
OUTCOMES = {"promoted": GREEN, "refused": ORANGE, "rolled_back": RED}
SCORE_DRIFT = f"""max by (door) (abs(
  sum by (le, door) (rate(fraud_probability_bucket{{{DOOR}}}[5m]))
    / ignoring(le) group_left sum by (door) (rate(fraud_probability_count{{{DOOR}}}[5m]))
  - sum by (le, door) (rate(fraud_probability_bucket{{{DOOR}}}[1h] offset 5m))
    / ignoring(le) group_left sum by (door) (rate(fraud_probability_count{{{DOOR}}}[1h] offset 5m))
))"""


def model() -> Json:
    """The dashboard."""
    rows = [
        (5, [5, 3, 4, 4, 4, 4], _now()),
        (9, [14, 10], _scores()),
        (9, [12, 12], _drift()),
        (9, [12, 6, 6], _calibration()),
        (9, [8, 8, 8], _challenger()),
    ]
    variables = [DOOR_VARIABLE, variable("version", "the model's", "label_values(model_info, version)")]
    began = 'max by (version) (model_info{version=~"$version"}) unless max by (version) (model_info offset 30s)'
    mark = {
        "name": "Versions",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": PURPLE,
        "expr": began,
        "titleFormat": "{{version}} decides",
        "step": "10s",
    }
    meaning = "What the model says, what it is given, whether it can be believed, and what would take its place."
    return dashboard("model", "Fraud detection: model", meaning, rows, variables, [mark])


def _now() -> list[Json]:
    one_or_none = limits((None, RED), (1, GREEN))
    none_is_good = alarm(1)
    return [
        stat(
            "Decides",
            "The version in use. Two for long: ModelsDisagree rings.",
            f'count by (version) (model_info{{{DOOR}, version=~"$version"}})',
            "{{version}}",
            text="name",
        ),
        stat(
            "Compiled",
            "1 where trees are compiled; 0 where XGBoost itself computes: ModelNotCompiled.",
            f"min(model_compiled{{{DOOR}}})",
            "compiled",
            thresholds=one_or_none,
        ),
        stat(
            "Age of the batch tables",
            "Days from their last day to the latest payment's. BatchTablesStale rings above 0.",
            f"max(batch_tables_age_days{{{DOOR}}})",
            "days",
            unit="d",
            thresholds=none_is_good,
        ),
        stat(
            "Features recomputed",
            "Payments of a sample of customers whose features were computed again, offline.",
            "sum(feature_parity_rows_total)",
            "payments",
            unit="locale",
        ),
        stat(
            "Features that differed",
            "Online against offline, bit for bit: anything but zero is skew.",
            "sum(feature_parity_mismatches_total)",
            "differences",
            unit="locale",
            thresholds=none_is_good,
        ),
        stat(
            "Rolled back",
            "Promoted versions that did not hold what the gate had promised, since ever.",
            'sum(gate_runs_total{outcome="rolled_back"})',
            "rolled back",
            unit="locale",
            thresholds=none_is_good,
        ),
    ]


def _scores() -> list[Json]:
    heat = {
        "calculate": False,
        "color": {
            "mode": "scheme",
            "scheme": "Purples",
            "scale": "exponential",
            "exponent": 0.5,
            "steps": 64,
            "reverse": False,
            "fill": "dark-purple",
        },
        "cellGap": 1,
        "filterValues": {"le": 1e-9},
        "yAxis": {"axisPlacement": "left"},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
    }
    scores = f"sum by (le) (rate(fraud_probability_bucket{{{DOOR}}}[{RATE}]) {OF_VERSION})"
    return [
        panel(
            "heatmap",
            "Fraud probability, payments a second in each range",
            "The distribution of the scores over time; a drift moves its weight.",
            [(scores, "{{le}}")],
            unit="reqps",
            options=heat,
        )
        | {"maxDataPoints": 60},
        timeseries(
            "Score drift",
            "Largest gap between the distribution functions of the scores: last five minutes against the hour before "
            "(Kolmogorov-Smirnov distance). No alert hangs on it: hours differ.",
            [(SCORE_DRIFT, "{{door}}")],
            unit="percentunit",
        ),
    ]


def _drift() -> list[Json]:
    close = alarm(1, 0.7)
    inputs = 'detector=~"feature|reference|missing|new_device"'
    return [
        bargauge(
            "Drift by feature",
            "Statistics as shares of their limits: 1 is an alarm, FeatureDrift or ReferenceDrift.",
            [(f"topk(10, max by (column) (drift_statistic_ratio{{{inputs}}}))", "{{column}}")],
            unit="percentunit",
            thresholds=close,
            most=1,
        ),
        timeseries(
            "Drift by detector",
            "The largest statistic of each detector, as a share of its limit.",
            [("max by (detector) (drift_statistic_ratio)", "{{detector}}")],
            unit="percentunit",
            thresholds=alarm(1),
        ),
    ]


def _calibration() -> list[Json]:
    return [
        bargauge(
            "Calibration by range of probability",
            "Share of fraud among the settled payments from each probability on: as "
            "the model expects, and as labelled.",
            [("live_calibration_bin_ratio", "from {{low}}, {{basis}}")],
            unit="percentunit",
            most=1,
        ),
        timeseries(
            "Calibration over time",
            "Frauds that the probabilities expect for each one that was labelled: 1 is right.",
            [('live_calibration_ratio{by="version", value=~"$version"}', "{{value}}")],
        ),
        timeseries(
            "F1 by version",
            "Of the latest settled week, as labelled.",
            [
                (
                    'live_quality_ratio{payments="settled",basis="labels",measure="f1",by="version",value=~"$version"}',
                    "{{value}}",
                )
            ],
            unit="percentunit",
        ),
    ]


def _challenger() -> list[Json]:
    return [
        bargauge(
            "Champion against challenger",
            "Recall and precision on the deciding weeks of the latest retraining that trained a challenger.",
            [("gate_compared_ratio", "{{measure}}, {{model}}")],
            unit="percentunit",
            most=1,
        ),
        stat(
            "Checks that the challenger failed",
            "By the latest report.",
            'gate_check_passed == 0 or on () label_replace(vector(1), "check", "no check failed", "", "")',
            "{{check}}",
            text="name",
            thresholds=limits((None, RED), (1, GREEN)),
        ),
        timeseries(
            "What became of retrainings",
            "Promoted, refused by the gate, rolled back: since ever.",
            [(f'sum(gate_runs_total{{outcome="{each}"}})', each.replace("_", " ")) for each in OUTCOMES],
            unit="locale",
            colors={each.replace("_", " "): color for each, color in OUTCOMES.items()},
        ),
    ]
