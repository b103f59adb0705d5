"""The dashboard of whoever answers for fraud: how much, at what cost, and how good the verdicts are."""

from __future__ import annotations

from capstone_utils.monitoring.dashboards.definition import (
    BLUE,
    DOOR,
    GREEN,
    ORANGE,
    PURPLE,
    RATE,
    RED,
    Json,
    alarm,
    bargauge,
    dashboard,
    gauge,
    limits,
    stat,
    timeseries,
)
from capstone_utils.monitoring.dashboards.door_panels import (
    DOOR_VARIABLE,
    fraud_rate_now,
    fraud_rate_over_time,
    payments_a_second,
)
from capstone_utils.serving.evaluation.card_precision import CAPACITY

ALERTS_A_DAY = f"sum(increase(fraud_predictions_total{{{DOOR}}}[1d]))"
SETTLED = 'payments="settled", basis="labels", by="door", value=~"$door"'
MONEY = {"saved": GREEN, "held": ORANGE, "lost": RED}


def fraud() -> Json:
    """The dashboard."""
    rows = [
        (5, [4, 5, 5, 5, 5], _today()),
        (8, [8, 8, 8], _volumes()),
        (8, [12, 12], _quality()),
        (9, [10, 7, 7], _alerts()),
    ]
    meaning = "How much fraud, what it costs, whether the alerts can be looked at, and how good they are."
    return dashboard("fraud", "Fraud detection: fraud", meaning, rows, [DOOR_VARIABLE])


def _today() -> list[Json]:
    return [
        stat(
            "Payments of a day",
            "Verdicts of the last 24 hours.",
            f"sum(increase(prediction_requests_total{{{DOOR}}}[1d]))",
            "payments",
            unit="locale",
        ),
        gauge(
            "Alerts of a day",
            f"Payments called fraud in the last 24 hours; {CAPACITY} can be looked at.",
            ALERTS_A_DAY,
            "alerts",
            2 * CAPACITY,
            unit="locale",
            thresholds=alarm(CAPACITY, 0.8 * CAPACITY),
        ),
        fraud_rate_now(
            "Share called fraud", "Of the payments of the last minutes, by door. FraudRateHigh rings above 5 %."
        ),
        stat(
            "Saved in a week",
            "Money of the frauds that were called fraud, in the latest settled week.",
            _money("saved"),
            "saved",
            unit="currencyUSD",
            thresholds=limits((None, GREEN)),
        ),
        stat(
            "Lost in a week",
            "Money of the frauds that were missed, in the latest settled week.",
            _money("lost"),
            "lost",
            unit="currencyUSD",
            thresholds=limits((None, RED)),
        ),
    ]


def _volumes() -> list[Json]:
    payments = f"sum by (door) (rate(prediction_requests_total{{{DOOR}}}[{RATE}]))"
    return [
        payments_a_second("Volume", payments, "{{door}}", {"called fraud": RED}),
        fraud_rate_over_time("Share called fraud over time"),
        timeseries(
            "Alerts a day against capacity",
            f"Payments called fraud in the 24 hours before; {CAPACITY} can be looked at.",
            [(ALERTS_A_DAY, "alerts")],
            unit="locale",
            thresholds=alarm(CAPACITY),
            fixed=BLUE,
        ),
    ]


def _quality() -> list[Json]:
    settled = f'live_quality_ratio{{{SETTLED}, measure=~"precision|recall"}}'
    young = 'live_quality_ratio{payments="young", basis="estimate", by="all", measure=~"precision|recall"}'
    return [
        timeseries(
            "Precision and recall, as labels come",
            "Of the latest settled week, as labelled: a week behind. Beside it, what the probabilities expect of "
            "the payments since; it cannot see a fraud that looks ordinary.",
            [(settled, "{{measure}}, {{value}}"), (young, "{{measure}}, expected since")],
            unit="percentunit",
        ),
        timeseries(
            "Money at risk",
            "Of the settled week: saved (frauds caught), held (honest payments stopped) and lost.",
            [(_money(what), what) for what in MONEY],
            unit="currencyUSD",
            colors=MONEY,
        ),
    ]


def _alerts() -> list[Json]:
    settled = 'live_payments{by="door", value=~"$door", verdict="%s", label="%s"}'
    return [
        bargauge(
            "Top reasons of a day",
            "The feature that spoke loudest for each alert; fallback: only the fallback alerted.",
            [("topk(8, sum by (reason) (increase(feedback_alert_reasons_total[1d])) > 0)", "{{reason}}")],
            unit="locale",
            thresholds=limits((None, PURPLE)),
        ),
        bargauge(
            "Verdicts of the settled week",
            "Frauds caught and missed, and honest payments that were called fraud.",
            [
                (f"sum({settled % ('fraud', 'fraud')})", "caught"),
                (f"sum({settled % ('legitimate', 'fraud')})", "missed"),
                (f"sum({settled % ('fraud', 'legitimate')})", "false alerts"),
            ],
            unit="locale",
            colors={"caught": GREEN, "missed": RED, "false alerts": ORANGE},
        ),
        timeseries(
            "False alerts an hour",
            "Honest payments called fraud, of the latest settled week.",
            [('live_false_positives_an_hour{by="door", value=~"$door"}', "{{value}}")],
        ),
    ]


def _money(what: str) -> str:
    return f'sum(live_money_dollars{{what="{what}", by="door", value=~"$door"}})'
