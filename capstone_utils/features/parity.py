"""Parity of two computations of the features, bit for bit, by feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.plan import key_plan
from capstone_utils.features.spec import Feature, State, Window
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.transaction import Transaction

LASTING = ("amount_ratio", "first_seen")  # kinds of features that need a user's whole history


def parity_report(
    online: pd.DataFrame, offline: pd.DataFrame, features: Sequence[str], transactions: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per feature: rows, mismatches, nulls on one side, worst mismatch.

    The frames share their index, usually transaction_id. A row on one side only is an error, not a mismatch. With
    `transactions` (integer units, the same index), the column `transaction` holds that of the worst mismatch.

    Raises:
        ValueError: when the two frames do not hold the same transactions.
    """
    missing = online.index.symmetric_difference(offline.index)
    if len(missing):
        raise ValueError(f"{len(missing)} transactions are on one side only, such as transaction_id={missing[0]}")
    offline = offline.loc[online.index]
    rows = [_compare(name, online[name], offline[name]) for name in features]
    worst = pd.Series([row["worst_transaction"] for row in rows], dtype=object)  # whole numbers, or None
    report = pd.DataFrame(rows).assign(worst_transaction=worst)
    if transactions is not None:
        examples = [None if i is None else next(transactions_of(transactions.loc[[i]])) for i in worst]
        report["transaction"] = pd.Series(examples, dtype=object)
    return report


def _compare(name: str, online: pd.Series, offline: pd.Series) -> dict[str, object]:
    left, right = online.to_numpy(float), offline.to_numpy(float)
    left_null, right_null = np.isnan(left), np.isnan(right)
    one_null = left_null != right_null
    differs = (left.view(np.int64) != right.view(np.int64)) & ~(left_null & right_null)
    row: dict[str, object] = {
        "feature": name,
        "rows": len(left),
        "mismatches": int(differs.sum()),
        "nulls_on_one_side": int(one_null.sum()),
        "worst_transaction": None,
        "online": np.nan,
        "offline": np.nan,
    }
    if differs.any():
        gap = np.where(one_null, np.inf, np.abs(left - right))
        worst = int(np.argmax(np.where(differs, gap, -1.0)))
        row |= {"worst_transaction": online.index[worst], "online": left[worst], "offline": right[worst]}
    return row


@dataclass
class _UserLog:
    """One user's arrivals, and the features emitted for each."""

    rows: list[Transaction] = field(default_factory=list)
    emitted: list[tuple[float, ...] | None] = field(default_factory=list)  # None for a duplicate
    compared: int = 0  # so many of the first rows
    whole: bool = True  # the rows reach back to the user's first transaction

    def drop_before(self, retention_us: int) -> int:
        """Drop the transactions older than the retention as of the latest one; return their number."""
        horizon = max(row.event_time_us for row in self.rows) - retention_us
        kept = [place for place, row in enumerate(self.rows) if row.event_time_us > horizon]
        dropped = len(self.rows) - len(kept)
        if dropped:
            self.rows, self.emitted = [self.rows[i] for i in kept], [self.emitted[i] for i in kept]
            self.compared, self.whole = len(kept), False
        return dropped


class ParitySampler:
    """A live parity check: sampled users' emitted features against the offline frame.

    Give `record` each transaction with the features that `update` returned, and call `check` now and then. `rows` and
    `mismatches` count what was compared, for monitoring.

    A log must reach back as far as the state. Users whom `state` does not know yet are followed from their first
    transaction on. Known users are followed from the transactions that the state retains of them. These determine the
    windows, but not whether a device is new or what the user usually spends: such features are left out for known
    users. Windows over another key, and fraud rates, are left out for all users.

    A check leaves at most `max_rows` transactions. The longest logs lose what is beyond the retention, and are then
    treated like those of known users. If that is not enough, whole users are let go. One sampler watches one state:
    when another state takes its place, such as one from a snapshot, make another sampler.
    """

    def __init__(
        self,
        state: OnlineFeatures,
        daily: Mapping[str, DailyTable] | None = None,
        share: float = 0.01,
        max_rows: int = 100_000,
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share={share!r} is not a share of users (above 0, at most 1)")
        if max_rows < 1:
            raise ValueError(f"max_rows={max_rows!r} should be at least 1")
        self.spec = state.spec
        self.rows = self.mismatches = self.users_let_go = 0
        self._daily, self._share, self._max_rows = daily, share, max_rows
        self._users: dict[int, _UserLog] = {}
        self._let_go: set[int] = set()
        for user_id in filter(self.samples, state.users):
            rows = state.retained(user_id)
            self._users[user_id] = _UserLog(rows, [None] * len(rows), len(rows), whole=False)
        self.kept = sum(len(user.rows) for user in self._users.values())

    def use_daily(self, daily: Mapping[str, DailyTable]) -> None:
        """Recompute what is recorded from now on with these tables; what was recorded before is to be checked first."""
        self._daily = daily

    def samples(self, user_id: int) -> bool:
        """True when the user belongs to the sample, equal for samplers of one share."""
        return user_id * 2_654_435_761 % 2**32 < self._share * 2**32  # Knuth's multiplicative hash

    def record(self, transaction: Transaction, emitted: tuple[float, ...] | None) -> None:
        """Note a transaction in order of arrival, with what `update` returned.

        A full log is checked at once.
        """
        user_id = transaction.user_id
        if user_id in self._let_go or not self.samples(user_id):
            return
        user = self._users.setdefault(user_id, _UserLog())
        user.rows.append(transaction)
        user.emitted.append(emitted)
        self.kept += 1
        if self.kept > 2 * self._max_rows:
            self.check()

    def check(self) -> pd.DataFrame:
        """The parity report of the transactions since the last check; adds to `rows` and `mismatches`.

        The row `duplicate` compares which transactions were taken for repeats.
        """
        users = list(self._users.values())
        frame = pd.DataFrame([row for user in users for row in user.rows], columns=list(Transaction._fields))
        missing = (np.nan,) * len(self.spec.names)
        emitted = [features for user in users for features in user.emitted]
        online = pd.DataFrame([features or missing for features in emitted], columns=list(self.spec.names), dtype=float)
        online["duplicate"] = [features is None for features in emitted]
        offline = offline_features(frame, self.spec, self._daily)
        fresh = np.array([place >= user.compared for user in users for place in range(len(user.rows))], dtype=bool)
        whole = np.array([user.whole for user in users for _ in user.rows], dtype=bool)
        lasting = [f.name for f in self.spec.features if isinstance(f, State) and f.kind in LASTING]
        usual = [f.name for f in self.spec.features if _needs_only_the_user(f) and f.name not in lasting]
        report = pd.concat(
            [
                parity_report(online[chosen], offline[chosen], names, frame)
                for chosen, names in ((fresh, [*usual, "duplicate"]), (fresh & whole, lasting))
            ],
            ignore_index=True,
        )
        self.rows += int(fresh.sum())
        self.mismatches += int(report["mismatches"].sum())
        for user in users:
            user.compared = len(user.rows)
        self._shrink()
        return report

    def _shrink(self) -> None:
        """Drop what is beyond the retention from the longest logs, then whole users, until `max_rows` are left."""
        retention_us = key_plan(self.spec, "user_id").retention_us
        longest_first = sorted(self._users, key=lambda user_id: len(self._users[user_id].rows), reverse=True)
        for user_id in longest_first:
            if self.kept <= self._max_rows:
                return
            self.kept -= self._users[user_id].drop_before(retention_us)
        for user_id in longest_first:
            if self.kept <= self._max_rows:
                return
            self.kept -= len(self._users.pop(user_id).rows)
            self._let_go.add(user_id)
            self.users_let_go += 1


def _needs_only_the_user(feature: Feature) -> bool:
    """True when the user's own transactions determine the feature, without labels."""
    return not isinstance(feature, Window) or (feature.key == "user_id" and feature.aggregate != "fraud_rate")
