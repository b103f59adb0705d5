"""No future, and parity: a feature must be computable at its moment, and alike by both doors."""

from __future__ import annotations

import numpy as np
import pandas as pd

from capstone_utils.course.capstone.project import Project
from capstone_utils.course.capstone.step import Step
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.transaction import SECOND_US

CUTS = (0.25, 0.5, 0.75)  # of the payments: what comes after is taken away
UNTIDY = 500  # so many payments come late, and so many twice
LATEST_SECONDS = 3600


def no_future(project: Project, transactions: pd.DataFrame) -> Step:
    """The feature of a stream's beginning, with the rest and without: not a bit may differ."""
    whole = project.values(transactions)
    for share in CUTS:
        begin = int(share * len(transactions))
        then = project.values(transactions.head(begin))
        different = np.flatnonzero(_differ(whole[:begin], then))
        if len(different):
            first = different[0]
            return Step(
                "no future",
                False,
                f"{len(different):,} of the first {begin:,} payments get another value when the payments after them "
                f"are taken away; the first is {_called(transactions, first)}: {whole[first]:g} with the future, "
                f"{then[first]:g} without. At its moment nobody knows the future, so this feature cannot be served.",
            )
    words = f"the future was taken away {len(CUTS)} times, and no value of {len(transactions):,} changed"
    return Step("no future", True, words)


def parity(project: Project, transactions: pd.DataFrame) -> Step:
    """The feature online against offline: on the whole stream, and again with late and repeated payments in it."""
    for place, arrivals in (("in order", transactions), ("with late ones", untidy(transactions))):
        arrivals = arrivals.drop_duplicates("transaction_id").reset_index(drop=True)  # as both doors do
        update = project.start()
        online = np.array([update(transaction) for transaction in transactions_of(arrivals)])
        offline = project.values(arrivals)
        different = np.flatnonzero(_differ(online, offline))
        if len(different):
            first = different[0]
            return Step(
                "parity",
                False,
                f"{len(different):,} of {len(arrivals):,} payments {place} differ; the first is "
                f"{_called(arrivals, first)}: online {online[first]:g}, offline {offline[first]:g}. The model would "
                f"be trained on one number and asked with another.",
                points=12 if place == "with late ones" else 0,
            )
    words = f"0 differences in {len(transactions):,} payments, and 0 again with {UNTIDY} late and {UNTIDY} double ones"
    return Step("parity", True, words, points=25)


def untidy(transactions: pd.DataFrame) -> pd.DataFrame:
    """The transactions as they might arrive: some up to an hour late, some twice."""
    generator = np.random.default_rng(0)
    arrival = transactions["event_time_us"].to_numpy().copy()
    chosen = generator.permutation(len(transactions))[: 2 * UNTIDY]
    late, twice = np.array_split(chosen, 2)
    arrival[late] += generator.integers(1, LATEST_SECONDS, len(late)) * SECOND_US
    again = arrival[twice] + generator.integers(1, LATEST_SECONDS, len(twice)) * SECOND_US
    rows = np.concatenate([np.arange(len(transactions)), twice])
    order = np.argsort(np.concatenate([arrival, again]), kind="stable")
    return transactions.iloc[rows[order]].reset_index(drop=True)


def _differ(left: Floats, right: Floats) -> Floats:
    """A mask of the values that differ in a bit; two missing ones are equal, and so are 0 and -0."""
    different: Floats = (left != right) & ~(np.isnan(left) & np.isnan(right))
    return different


def _called(transactions: pd.DataFrame, row: int) -> str:
    """A payment in words."""
    return f"transaction {transactions['transaction_id'].iloc[row]} of customer {transactions['user_id'].iloc[row]}"
