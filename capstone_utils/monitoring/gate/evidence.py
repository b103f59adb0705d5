"""The evidence that a gate weighs: transactions, their features and the labels known by one moment, in one frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from capstone_utils.errors import InvalidValue
from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.enriched import enrich
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.ingestion.arrays import Booleans, Floats
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS, labels_known_by
from capstone_utils.serving.training.splits import WARM_UP_DAYS
from capstone_utils.transaction import DAY_SECONDS, SECOND_US

GOLDEN_SHARE = 0.2  # of the users: no model is ever trained on them
GOLDEN, FOLD, VALIDATION = range(3)  # the purposes for which users are drawn by their ids
GOLDEN_DAYS = 56  # golden users are asked about so many settled days at most
DECIDING_WEEKS = 3  # the latest two settled weeks, and the reports of the week after them
DELAY_SECONDS = LABEL_DELAY_DAYS * DAY_SECONDS


@dataclass(frozen=True)
class Evidence:
    """What was known at `now` (epoch seconds).

    `frame` is an enriched frame up to `now` with the column `kind`. Its `is_fraud` is what was reported last by then;
    without a report 0 once the transaction is settled (a label delay old), NaN before. `transactions` and `reports`
    are what it was made from: one row a transaction each, the reports with known_at_us up to `now`. `served` holds the
    features that a door used, by transaction_id; it may be empty.
    """

    frame: pd.DataFrame
    transactions: pd.DataFrame
    reports: pd.DataFrame
    now: float
    served: pd.DataFrame = field(default_factory=pd.DataFrame)
    spec: FeatureSpec = SPEC

    @cached_property
    def times(self) -> Floats:
        """The event times, epoch seconds, shape (rows,)."""
        times: Floats = self.frame["timestamp"].to_numpy()
        return times

    @cached_property
    def fraud(self) -> Booleans:
        """A mask of what is reported as fraud."""
        fraud: Booleans = self.frame["is_fraud"].to_numpy() == 1
        return fraud

    @cached_property
    def settled(self) -> Booleans:
        """A mask of the rows that are a label delay old: who did not complain by now is presumed honest."""
        return self.times < self.settled_until

    @property
    def settled_until(self) -> float:
        """The event time, epoch seconds, from which on a transaction without a report may still be fraud."""
        return self.now - DELAY_SECONDS

    @cached_property
    def golden(self) -> Booleans:
        """A mask of the rows of golden users."""
        return golden_users(self.frame["user_id"])

    def last(self, settled_days: int) -> Booleans:
        """A mask of the rows since so many settled days ago; the warm-up, when everything was new, is left out."""
        warm = float(self.times[0]) + WARM_UP_DAYS * DAY_SECONDS
        return self.times >= max(warm, self.settled_until - settled_days * DAY_SECONDS)

    def latest(self, settled_until: float) -> Booleans:
        """A mask of the latest weeks, from what a champion has learnt as settled on; its end in epoch seconds."""
        mask: Booleans = self.times >= max(self.now - DECIDING_WEEKS * 7 * DAY_SECONDS, settled_until)
        return mask

    def known_by(self, moment: float) -> Booleans:
        """A mask of what was reported as fraud up to a moment, epoch seconds."""
        mask: Booleans = self.fraud & (self.frame["label_known_at"].to_numpy() <= moment)
        return mask


def gather(
    transactions: pd.DataFrame,
    reports: pd.DataFrame,
    now_us: int,
    served: pd.DataFrame | None = None,
    spec: FeatureSpec = SPEC,
) -> Evidence:
    """The evidence at `now_us`, with the batch tables of that moment.

    `transactions` are in order of arrival, in integer units. `reports` holds transaction_id, is_fraud, known_at_us and,
    where somebody said it, `kind`; of several on one transaction, the one known last counts. What lies after `now_us`
    and reports on unknown transactions are left out.

    Raises:
        InvalidValue: when two users' transactions share a transaction_id, or there is none before `now_us`.
    """
    past = transactions[transactions["event_time_us"] <= now_us].drop_duplicates(["user_id", "transaction_id"])
    if past.empty:
        raise InvalidValue(f"now_us={now_us} lies before every transaction; a moment after some of them is needed")
    if not past["transaction_id"].is_unique:
        twice = past.loc[past["transaction_id"].duplicated(), "transaction_id"].iloc[0]
        raise InvalidValue(f"transaction_id={twice} is that of two users; the gate needs one id a transaction")
    known = latest_reports(reports, now_us)
    known = known[known["transaction_id"].isin(past["transaction_id"])]
    features = offline_features(past, spec, daily_tables(past, known))
    frame = enrich(past, features, known, spec)
    last = known.set_index("transaction_id").reindex(frame["transaction_id"])
    settled = frame["timestamp"].to_numpy() < now_us / SECOND_US - DELAY_SECONDS
    reported = last["is_fraud"].astype(float).to_numpy()
    frame["is_fraud"] = np.where(np.isnan(reported) & settled, 0.0, reported)
    presumed = frame["timestamp"].to_numpy() + DELAY_SECONDS
    known_at = last["known_at_us"].to_numpy(dtype=float) / SECOND_US
    frame["label_known_at"] = np.where(np.isnan(known_at) & settled, presumed, known_at)
    frame["kind"] = last["kind"].fillna("").astype(str).to_numpy()
    return Evidence(frame, past, known, now_us / SECOND_US, pd.DataFrame() if served is None else served, spec)


def latest_reports(reports: pd.DataFrame, now_us: int) -> pd.DataFrame:
    """Of each transaction, the report known last by `now_us`; at equal times, fraud wins."""
    known = labels_known_by(reports, now_us)
    if "kind" not in known:
        known = known.assign(kind="")
    ordered = known.sort_values(["known_at_us", "is_fraud"], kind="stable")
    return ordered.drop_duplicates("transaction_id", keep="last")


def golden_users(user_ids: pd.Series) -> Booleans:
    """A mask of the golden users: a share by a hash of the id, the same in every run."""
    return hashed(user_ids, GOLDEN) < GOLDEN_SHARE


def hashed(user_ids: pd.Series, purpose: int = 0) -> Floats:
    """A number from 0 to 1 for each id, another one for each purpose.

    Source: G. L. Steele, D. Lea, C. H. Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (SplitMix).
    """
    mixed = user_ids.to_numpy(dtype=np.uint64) + np.uint64((purpose + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    shares: Floats = (mixed >> np.uint64(32)).astype(float) / 2**32
    return shares
