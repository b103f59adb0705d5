"""The dashboard of whoever is on duty: is it up, is it fast, does it keep up, and what rings?"""

from __future__ import annotations

from capstone_utils.monitoring.dashboards.definition import (
    BLUE,
    DOOR,
    GREEN,
    ORANGE,
    PURPLE,
    RATE,
    RED,
    YELLOW,
    Json,
    alarm,
    dashboard,
    gauge,
    limits,
    stat,
    state_timeline,
    timeseries,
)
from capstone_utils.monitoring.dashboards.door_panels import (
    DOOR_VARIABLE,
    fraud_rate_now,
    fraud_rate_over_time,
    payments_a_second,
)

ERROR_RATE = (
    f"sum(rate(request_errors_total[{RATE}])) / (sum(rate(request_errors_total[{RATE}])) "
    f'+ sum(rate(prediction_requests_total{{door="http"}}[{RATE}])))'
)
BURNT = (  # of the error budget: 1 lasts the month
    f'(1 - sum by (door) (rate(prediction_latency_seconds_bucket{{le="0.2",{DOOR}}}[1h])) '
    f"/ sum by (door) (rate(prediction_latency_seconds_count{{{DOOR}}}[1h]))) / 0.001"
)
BURNT_BY_FAILURES = (
    'sum(rate(request_errors_total{kind=~"failed|shed"}[1h])) / (sum(rate(request_errors_total{kind=~"failed|shed"}'
    '[1h])) + sum(rate(prediction_requests_total{door="http"}[1h]))) / 0.001'
)
RINGING = (
    'max by (alertname) (ALERTS{alertstate="firing", severity!="none"} * 2\n'
    '  or ALERTS{alertstate="pending", severity!="none"})\n'
    '  or label_replace(0 * absent(ALERTS{severity!="none"}), "alertname", "no alert", "", "")'
)
LATENCY_COLORS = {"p50 http": GREEN, "p95 http": ORANGE, "p99 http": RED}
LATENCY_COLORS |= {"p50 stream": BLUE, "p95 stream": PURPLE, "p99 stream": YELLOW}


def slower_than(share: float) -> str:
    """The latency of that share's slowest prediction; a minute, as LatencyHigh asks."""
    return f"histogram_quantile({share:.2f}, sum(rate(prediction_latency_seconds_bucket{{{DOOR}}}[1m])) by (le, door))"


def duty() -> Json:
    """The dashboard."""
    rows = [
        (5, [4, 4, 5, 5, 3, 3], _glance()),
        (8, [12, 12], _traffic()),
        (8, [12, 12], _speed()),
        (8, [8, 8, 8], _waiting()),
        (8, [10, 6, 8], _trouble()),
    ]
    meaning = "Is it up, is it fast, does it keep up, and what rings?"
    return dashboard("duty", "Fraud detection: duty", meaning, rows, [DOOR_VARIABLE])


def _glance() -> list[Json]:
    return [
        stat(
            "Total predictions",
            "Verdicts since the start, of the chosen doors.",
            f"sum(prediction_requests_total{{{DOOR}}})",
            "predictions",
            unit="locale",
        ),
        stat(
            "Fraudulent predictions",
            "Payments called fraud since the start.",
            f"sum(fraud_predictions_total{{{DOOR}}})",
            "fraud",
            unit="locale",
            thresholds=limits((None, PURPLE)),
        ),
        fraud_rate_now("Fraud rate", "Share of the payments called fraud. FraudRateHigh rings above 5 %."),
        gauge(
            "Latency, 95th percentile",
            "Nineteen predictions of twenty are faster. LatencyHigh rings above 200 ms.",
            slower_than(0.95),
            "{{door}}",
            0.4,
            unit="s",
            thresholds=alarm(0.2, 0.1),
        ),
        gauge(
            "Error rate",
            "Share of the HTTP requests that fail. ErrorRateHigh rings above 1 %.",
            ERROR_RATE,
            "http",
            0.05,
            unit="percentunit",
            thresholds=alarm(0.01, 0.005),
        ),
        stat(
            "Alerts firing",
            "What rings now; docs/runbook.md says what to do.",
            'count(ALERTS{alertstate="firing", severity!="none"}) or vector(0)',
            "firing",
            thresholds=alarm(1),
        ),
    ]


def _traffic() -> list[Json]:
    payments = f"sum(rate(prediction_requests_total{{{DOOR}}}[{RATE}]))"
    return [
        payments_a_second("Payments a second", payments, "all", {"all": BLUE, "called fraud": RED}),
        fraud_rate_over_time("Fraud rate over time"),
    ]


def _speed() -> list[Json]:
    return [
        timeseries(
            "Latency of a prediction",
            "Half, nineteen of twenty, and ninety-nine of a hundred predictions are faster than these lines. Over HTTP "
            "the time counts from the request; in the stream from when the broker took the payment until its score is "
            "committed.",
            [(slower_than(share), f"p{100 * share:.0f} {{{{door}}}}") for share in (0.5, 0.95, 0.99)],
            unit="s",
            thresholds=alarm(0.2),
            colors=LATENCY_COLORS,
        ),
        timeseries(
            "Error rate over time",
            "Requests over HTTP that failed, as a share of all that brought a payment.",
            [(ERROR_RATE, "http")],
            unit="percentunit",
            thresholds=alarm(0.01),
        ),
    ]


def _waiting() -> list[Json]:
    return [
        timeseries(
            "Error budget burnt",
            "How many times as fast as allowed the month's 0.1 % of slow or failed payments are used up: at 14.4 they "
            "are gone in two days, and LatencyBurnFast or AvailabilityBurnFast rings.",
            [(BURNT, "too slow, {{door}}"), (BURNT_BY_FAILURES, "failed, http")],
            thresholds=alarm(14.4),
        ),
        timeseries(
            "Payments that wait",
            "In the topic for the worker, and verdicts of the service that its journal did not take.",
            [("sum(worker_lag_records)", "in the topic"), ("sum(unwritten_verdicts)", "not in the journal")],
        ),
        timeseries(
            "Scores that wait for the topic",
            "Bytes of the journal that are not sent. OutboxBehind rings above a megabyte.",
            [("sum(outbox_waiting_bytes)", "outbox")],
            unit="decbytes",
            thresholds=alarm(1e6),
        ),
    ]


def _trouble() -> list[Json]:
    return [
        timeseries(
            "Went wrong in the last five minutes",
            "Each has its alert and its entry in the runbook.",
            [
                ('sum(increase(model_reloads_total{outcome="invalid"}[5m]))', "models refused"),
                ("sum(increase(worker_dead_letters_total[5m]))", "dead letters"),
                ("sum(increase(worker_lost_batches_total[5m]))", "batches read again"),
                ("sum(increase(worker_deleted_unread_total[5m]))", "deleted unread"),
            ],
        ),
        state_timeline(
            "Up",
            "Whether each process answered its scrapes.",
            "max by (job) (up)",
            "{{job}}",
            {"down": RED, "up": GREEN},
        ),
        state_timeline(
            "Alerts",
            "A row for each alert that was pending or firing in this time. The runbook has an entry for each.",
            RINGING,
            "{{alertname}}",
            {"quiet": GREEN, "pending": ORANGE, "firing": RED},
        ),
    ]
