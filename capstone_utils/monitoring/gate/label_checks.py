"""Checks of the labels, before anything learns from them: enough, still arriving, and not tampered with."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Booleans, Floats
from capstone_utils.monitoring.gate.challenger import split_now
from capstone_utils.monitoring.gate.check import Check, share
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.paired import Verdicts
from capstone_utils.transaction import DAY_SECONDS, SECOND_US

# Reported frauds; fewer say too little.
TRAINING_FRAUDS, VALIDATING_FRAUDS, DECIDING_FRAUDS, GOLDEN_FRAUDS = 300, 20, 100, 50
SURE, ORDINARY = 0.99, 0.01  # probabilities of which the champion is sure, of either kind
SUREST = 20  # alerts at least that labels are compared with: a champion that has seen little is seldom so sure
FLOW_DAYS, USUAL_DAYS = 2, 28
MOSTLY = 0.8  # of a shop's alerts


def amount_checks(evidence: Evidence, deciding: Booleans, golden: Booleans) -> list[Check]:
    """The checks that there are labels enough, and that they still arrive; the masks have shape (rows,)."""
    split, fraud = split_now(evidence, ~evidence.golden), evidence.fraud
    training, validating = (int(part["is_fraud"].sum()) for part in (split.known, split.validation))
    return [
        Check("training_frauds", training, "reported frauds to learn from", TRAINING_FRAUDS),
        Check("validating_frauds", validating, "reported frauds to choose the threshold by", VALIDATING_FRAUDS),
        Check("deciding_frauds", int((fraud & deciding).sum()), "reported frauds to decide on", DECIDING_FRAUDS),
        Check("golden_frauds", int((fraud & golden).sum()), "reported frauds of golden users", GOLDEN_FRAUDS),
        Check("label_flow", label_flow(evidence), "fewest reports in two days on end, beside the usual number", 0.3),
    ]


def tampering_checks(
    evidence: Evidence, latest: Booleans, deciding: Booleans, champion: Verdicts, usual_share: float
) -> list[Check]:
    """The checks that labels agree with what is known of them otherwise, on the settled rows of the latest weeks.

    The masks and the champion's verdicts have shape (rows,). `usual_share` is the share of fraud that the champion has
    learnt from. Of the rows to decide on, the reports are missing that a young champion has learnt from: only what is
    asked of reports alone is asked there.
    """
    fraud, settled = evidence.fraud, evidence.settled & latest
    sure, ordinary = _surest(champion, settled), champion.probabilities < ORDINARY
    usual = share(fraud, settled) / usual_share if usual_share else np.nan
    return [
        Check("reported_share", usual, "share of fraud, beside the share that the champion learnt from", 0.5, 1.7),
        Check("contradictions", share(~fraud, sure), "surest alerts that labels call honest", most=0.05),
        Check(
            "contradicted_shop",
            _most_at_one_shop(evidence, settled & champion.alerts),
            "alerts that labels call honest, at the one shop that has most of them and hardly others",
            most=8,
        ),
        Check(
            "lone_reports",
            share(_alone(evidence) & ordinary, fraud & settled & deciding),
            "reports of payments that look ordinary, without another report on the same user's day",
            most=0.25,
        ),
    ]


def _surest(champion: Verdicts, settled: Booleans) -> Booleans:
    """A mask of the settled alerts of which the champion is sure; where they are few, of its surest ones."""
    alerts = settled & champion.alerts
    surest = np.sort(champion.probabilities[alerts])[-SUREST:]
    mask: Booleans = alerts & (champion.probabilities >= surest.min(initial=SURE))
    return mask


def frozen_check(changed: Booleans) -> Check:
    """The check of a mask of the frozen labels that have changed."""
    return Check("frozen_labels", float(changed.mean()) if len(changed) else 0.0, "frozen labels changed", most=0.0005)


def label_flow(evidence: Evidence) -> float:
    """The fewest reports of fraud that arrived in `FLOW_DAYS` on end, beside the usual number in as many days.

    The latest days before `now` are looked at, a label delay of them; usual is the median day of four weeks. A flow
    that has stopped looks like a world without fraud.
    """
    reports = evidence.reports.loc[evidence.reports["is_fraud"].astype(bool), "known_at_us"].to_numpy() / SECOND_US
    age = np.floor((evidence.now - reports) / DAY_SECONDS).astype(int)
    known_days = int((evidence.now - evidence.times[0]) // DAY_SECONDS)
    days = np.bincount(age[age < USUAL_DAYS], minlength=USUAL_DAYS)[: max(min(known_days, USUAL_DAYS), FLOW_DAYS)]
    sums = np.convolve(days[: 7 + FLOW_DAYS], np.ones(FLOW_DAYS), "valid")
    usual: Floats = np.median(days) * FLOW_DAYS
    return float(sums.min() / usual) if usual else 0.0


def _most_at_one_shop(evidence: Evidence, alerts: Booleans) -> float:
    """The most contradicted alerts at one shop, of the shops where labels contradict nearly all alerts.

    A thief who calls the payments at a shop of his own honest leaves such a shop behind.
    """
    shops = pd.DataFrame(
        {"shop": evidence.frame["merchant"][alerts].astype(str), "honest": ~evidence.fraud[alerts]}
    ).groupby("shop")["honest"]
    return float(shops.sum()[shops.mean() >= MOSTLY].max()) if (shops.mean() >= MOSTLY).any() else 0.0


def _alone(evidence: Evidence) -> Booleans:
    """A mask of the reported frauds that are their user's only one within a day: thefts come in several payments."""
    frauds = evidence.frame[evidence.fraud]
    times = frauds.groupby("user_id")["timestamp"]
    near = (times.diff() <= DAY_SECONDS) | (times.diff(-1) >= -DAY_SECONDS)
    mask: Booleans = (~near).reindex(evidence.frame.index, fill_value=False).to_numpy()
    return mask
