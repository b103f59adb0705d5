"""Online features: a small state per user, one `update` per transaction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import orjson

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.moment import MOMENT
from capstone_utils.features.online.key_store import KeyStore
from capstone_utils.features.online.layout import in_order, texts_getter
from capstone_utils.features.online.snapshot import seal, unseal
from capstone_utils.features.online.user_state import UserState
from capstone_utils.features.online.user_store import AWAKE_USERS, UserStore
from capstone_utils.features.plan import key_plan, other_keys
from capstone_utils.features.spec import HISTORY, SPEC, FeatureSpec, State
from capstone_utils.transaction import Transaction

FIELDS = Transaction._fields


class OnlineFeatures:
    """The features of each transaction, from itself and all earlier arrivals.

    >>> def pay(number, seconds, amount, place):
    ...     return Transaction(number, 7, amount * 100, (1767225600 + seconds) * 1_000_000, place, "Amazon", "mobile")
    >>> from capstone_utils.features.spec import BRIEF
    >>> online = OnlineFeatures(BRIEF)
    >>> online.update(pay(1, 0, 10, "NY"))  # amount, average, count, locations, devices
    (10.0, 10.0, 1.0, 1.0, 1.0)
    >>> online.update(pay(2, 200, 20, "LA"))
    (20.0, 15.0, 2.0, 2.0, 1.0)
    >>> online.update(pay(3, 300, 30, "LA"))  # the first one is exactly 300 s old: outside (t - 300, t]
    (30.0, 25.0, 2.0, 1.0, 1.0)
    >>> online.peek(pay(4, 100, 40, "SF"))  # what if? The features that `update` would give, and no change
    (40.0, 25.0, 2.0, 2.0, 1.0)
    >>> online.update(pay(4, 100, 40, "SF"))  # late: sees what falls in its own window, changes no earlier features
    (40.0, 25.0, 2.0, 2.0, 1.0)
    >>> online.update(pay(4, 100, 40, "SF")) is None  # a duplicate: no features, no change
    True
    """

    def __init__(
        self,
        spec: FeatureSpec = SPEC,
        daily: Mapping[str, DailyTable] | None = None,
        awake_users: int = AWAKE_USERS,
    ) -> None:
        self.spec = spec
        self._plan = key_plan(spec, "user_id")
        self.users = UserStore(self._plan, len(spec.known_columns), awake_users)
        self.late = self.too_late = self.duplicates = 0
        self.missing_daily = 0  # batch values that were missing or stale
        self._others = [KeyStore(key_plan(spec, key)) for key in other_keys(spec)]
        self._texts = texts_getter(self._plan.columns)
        self._values = texts_getter(spec.known_columns)
        self._moment = [MOMENT[f.kind] for f in spec.features if isinstance(f, State) and f.kind in MOMENT]
        self._looks_back = any(isinstance(f, State) and f.kind in HISTORY for f in spec.features)
        self._daily_places = [spec.names.index(f.name) for f in spec.daily]
        self.use_daily(daily or {})
        self._in_order = in_order(spec, [self._plan, *(other.plan for other in self._others)])

    def use_daily(self, daily: Mapping[str, DailyTable]) -> None:
        """Look batch features up in these tables from the next transaction on; the state stays what it is."""
        self._daily = [(daily.get(f.name), FIELDS.index(f.key)) for f in self.spec.daily]

    def update(self, transaction: Transaction) -> tuple[float, ...] | None:
        """The features in the spec's order, missing ones as NaN; None for a transaction already seen.

        A transaction later than the allowed lateness gets no window features (NaN) and changes no state.
        """
        user, plan = self.users.wake(transaction.user_id), self._plan
        if user.holds(plan, transaction.transaction_id):
            self.duplicates += 1
            return None
        texts, known = self._texts(transaction), self._values(transaction)
        features = self._features(user, transaction, texts, known)
        for place in self._daily_places:
            self.missing_daily += math.isnan(features[place])
        lateness = user.latest_us - transaction.event_time_us
        if lateness > plan.lateness_us:
            self.too_late += 1
            return features
        if lateness > 0:
            self.late += 1
        user.take(plan, transaction, texts, known, self.spec.max_values)
        for other in self._others:
            other.add(transaction)
        return features

    def peek(self, transaction: Transaction) -> tuple[float, ...] | None:
        """The features that `update` would return, without any change of state."""
        user = self.users.look(transaction.user_id)
        if user.holds(self._plan, transaction.transaction_id):
            return None
        texts, known = self._texts(transaction), self._values(transaction)
        return self._features(user, transaction, texts, known)

    def first(self, transaction: Transaction) -> Transaction | None:
        """The transaction of the same user and id that `update` took before; None where it would take this one.

        It is not equal to `transaction` where an id was given twice. Text fields that no window counts are not kept:
        they are those of `transaction`.
        """
        return self.users.look(transaction.user_id).first(self._plan, transaction)

    def report_fraud(self, transaction: Transaction, known_at_us: int) -> None:
        """Count a transaction that `update` took before as fraud.

        Call it before the first transaction that is later by the spec's label delay. A report after that delay counts
        nowhere, so that online and offline know the same.
        """
        if known_at_us - transaction.event_time_us > self.spec.label_delay_us:
            return
        if transaction.user_id in self.users:
            self.users.wake(transaction.user_id).mark_fraud(transaction.transaction_id, transaction.event_time_us)
        for other in self._others:
            other.mark_fraud(transaction)

    def _features(
        self, user: UserState, transaction: Transaction, texts: Sequence[str], known: Sequence[str]
    ) -> tuple[float, ...]:
        """The features in the spec's order, from values in `layout` order."""
        time, cents = transaction.event_time_us, transaction.amount_cents
        values = [float(make(cents, time)) for make in self._moment]
        if self._looks_back:
            values += user.history(transaction)
        if known:
            values += user.first_seen(known)
        for table, field in self._daily:
            values.append(math.nan if table is None else table.lookup(time, transaction[field]))
        values += user.look(self._plan, time, cents, texts)
        for other in self._others:
            values += other.look(transaction)
        return self._in_order(values)

    def retained(self, user_id: int) -> list[Transaction]:
        """The user's transactions that the windows may still need, in event-time order.

        Text fields that no window counts are empty.
        """
        return self.users.look(user_id).retained(user_id, self._plan.columns)

    def snapshot(self) -> bytes:
        """The whole state as bytes for `from_snapshot`.

        They carry a version, the spec's hash and a checksum.
        """
        users = {user_id: self.users.pack(user_id) for user_id in self.users}
        counts = [self.late, self.too_late, self.duplicates, self.missing_daily]
        sizes = [list(users), [len(packed) for packed in users.values()]]
        head = orjson.dumps([counts, *sizes, [other.to_list() for other in self._others]])
        return seal(self.spec, "all users", b"".join([len(head).to_bytes(8, "little"), head, *users.values()]))

    @classmethod
    def from_snapshot(
        cls,
        data: bytes,
        spec: FeatureSpec = SPEC,
        daily: Mapping[str, DailyTable] | None = None,
        awake_users: int = AWAKE_USERS,
    ) -> OnlineFeatures:
        """The state of a `snapshot`, which goes on with the same features.

        Raises:
            InvalidSnapshot: for bytes that are damaged, or of another format or spec.
        """
        body = unseal(spec, "all users", data)
        online = cls(spec, daily, awake_users)
        start = 8 + int.from_bytes(body[:8], "little")
        counts, user_ids, sizes, others = orjson.loads(body[8:start])
        online.late, online.too_late, online.duplicates, online.missing_daily = counts
        for user_id, size in zip(user_ids, sizes, strict=True):
            online.users.unpack(user_id, bytes(body[start : start + size]))
            start += size
        for other, kept in zip(online._others, others, strict=True):
            other.fill(kept)
        return online

    def user_to_bytes(self, user_id: int) -> bytes:
        """One user's state as bytes for `user_from_bytes` and stores like Spark's.

        Raises:
            KeyError: for a user not seen before.
        """
        return seal(self.spec, "one user", self.users.pack(user_id))

    def user_from_bytes(self, user_id: int, data: bytes) -> None:
        """Replace the user's state by the one that `user_to_bytes` gave.

        Raises:
            InvalidSnapshot: for bytes that are damaged, or of another format or spec.
        """
        self.users.unpack(user_id, bytes(unseal(self.spec, "one user", data)))
