"""Panels that several dashboards have: what comes through the doors, and which share of it is called fraud."""

from __future__ import annotations

from capstone_utils.monitoring.dashboards.definition import (
    DOOR,
    RATE,
    Json,
    alarm,
    gauge,
    timeseries,
    variable,
)

DOOR_VARIABLE = variable(
    "door", "http is the service, stream the worker", "label_values(prediction_requests_total, door)"
)
FRAUD_RATE = (
    f"sum by (door) (rate(fraud_predictions_total{{{DOOR}}}[{RATE}])) "
    f"/ sum by (door) (rate(prediction_requests_total{{{DOOR}}}[{RATE}]))"
)


def payments_a_second(title: str, payments: str, legend: str, colors: dict[str, str]) -> Json:
    """Payments by `payments`, which is PromQL, and those among them that were called fraud."""
    return timeseries(
        title,
        "Payments scored, and those among them that were called fraud.",
        [(payments, legend), (f"sum(rate(fraud_predictions_total{{{DOOR}}}[{RATE}]))", "called fraud")],
        unit="reqps",
        fill=10,
        colors=colors,
    )


def fraud_rate_now(title: str, meaning: str) -> Json:
    """The share called fraud, by door, on an arc."""
    look = {"unit": "percentunit", "thresholds": alarm(0.05, 0.03)}
    return gauge(title, meaning, FRAUD_RATE, "{{door}}", 0.2, **look)


def fraud_rate_over_time(title: str) -> Json:
    """The share called fraud, by door, as lines."""
    meaning = "A wave shows as a hill, a broken feature as a step."
    return timeseries(title, meaning, [(FRAUD_RATE, "{{door}}")], unit="percentunit", thresholds=alarm(0.05))
