"""Checks of honesty: the features are those that doors serve, and nothing was learnt from the future."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import FeatureSpec
from capstone_utils.ingestion.arrays import Booleans, Floats
from capstone_utils.monitoring.gate.challenger import split_now
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.evidence import Evidence, hashed, latest_reports
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.train import predict, train_xgboost
from capstone_utils.transaction import DAY_US, SECOND_US

SAMPLE = 0.05  # of the users, for the look without a future
SAMPLE_DAYS = 2
DIFFERENT = 0.001  # of the rows: a report that was taken back changes a shop's risk afterwards
CHANCE = 4.0  # times the share of fraud: an average precision above it is chance once, but not after every shuffle
SHUFFLES = 3


def honesty_checks(evidence: Evidence, spec: FeatureSpec) -> list[Check]:
    """The checks that need no challenger; `spec` is that of the doors."""
    same = float(evidence.spec.hash == spec.hash and set(spec.names) <= set(evidence.frame))
    return [
        Check("spec", same, "1 where the features are those of the doors' spec", least=1),
        Check("served", served_differently(evidence), "rows whose features a door served differently", most=DIFFERENT),
        Check("future", changed_by_the_future(evidence), "rows whose features knew what came later", most=DIFFERENT),
    ]


def served_differently(evidence: Evidence) -> float:
    """The share of the served rows whose features are not those of the evidence, to the last bit.

    A batch feature of a shop or user that had no earlier day is left out: a door's table does not know it yet.
    """
    served, names = evidence.served, list(evidence.spec.names)
    if served.empty:
        return 0.0
    frame = evidence.frame.set_index("transaction_id")
    both = frame.index.intersection(served.index)
    ours, theirs = frame.loc[both], served.loc[both]
    different = _different(ours[names], theirs[names])
    day = evidence.frame["timestamp"] // (DAY_US // SECOND_US)
    for feature in evidence.spec.daily:
        began = day.groupby(evidence.frame[feature.key], observed=True).min()
        unknown = (ours["timestamp"] // (DAY_US // SECOND_US)).to_numpy() <= began.loc[ours[feature.key]].to_numpy()
        different[:, names.index(feature.name)] &= ~(unknown & theirs[feature.name].isna().to_numpy())
    return float(different.any(axis=1).mean()) if len(both) else 0.0


def changed_by_the_future(evidence: Evidence) -> float:
    """The share of a sample's rows whose features change when all that came later is taken away.

    The rows are those of a share of the users, in the days before the end of what is settled.
    """
    cut = int(evidence.settled_until * SECOND_US) // DAY_US * DAY_US
    past = evidence.transactions[evidence.transactions["event_time_us"] < cut]
    if past.empty:
        return 0.0
    known = latest_reports(evidence.reports, cut)
    tables = daily_tables(past, known[known["transaction_id"].isin(past["transaction_id"])])
    own = past[hashed(past["user_id"]) < SAMPLE]
    then = offline_features(own, evidence.spec, tables)[list(evidence.spec.names)]
    then = then[(own["event_time_us"] >= cut - SAMPLE_DAYS * DAY_US).to_numpy()]
    ids = own.loc[then.index, "transaction_id"]
    now = evidence.frame.set_index("transaction_id").loc[ids, list(evidence.spec.names)]
    return float(_different(now, then).any(axis=1).mean()) if len(then) else 0.0


def shuffled_labels(evidence: Evidence, rows: Booleans) -> Check:
    """The average precision of a booster that learnt from shuffled labels, in multiples of the share of fraud.

    It is asked on `rows`, a mask of golden users' transactions. What it knows it does not know from the labels. One
    shuffle may come near the truth by chance, since fraud is rare and unusual: the least of a few counts.
    """
    split, golden = split_now(evidence, ~evidence.golden), evidence.frame[rows]
    fraud = (golden["is_fraud"] == 1).to_numpy()
    least = np.inf
    for seed in range(SHUFFLES):
        known = split.known.assign(is_fraud=np.random.default_rng(seed).permutation(split.known["is_fraud"]))
        train, validation = (known.loc[part.index] for part in (split.train, split.validation))
        shuffled = Split(train, validation, split.test, known)
        booster = train_xgboost(shuffled, evidence.spec.names, parameters={"eta": 0.5})
        precision = average_precision_score(fraud, predict(booster, golden))
        least = min(least, precision / max(float(fraud.mean()), 1e-9))
        if least <= CHANCE:
            break
    return Check("shuffled", float(least), "average precision after shuffled labels, in shares of fraud", most=CHANCE)


def _different(left: pd.DataFrame, right: pd.DataFrame) -> Booleans:
    """A mask of the values that differ in a bit; two missing ones are equal."""
    ours: Floats = np.ascontiguousarray(left, dtype=float)
    theirs: Floats = np.ascontiguousarray(right, dtype=float)
    different: Booleans = (ours.view(np.int64) != theirs.view(np.int64)) & ~(np.isnan(ours) & np.isnan(theirs))
    return different
