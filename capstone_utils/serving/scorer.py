"""From a raw payment to a decision: features from the online state, a probability from the model, one threshold."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from capstone_utils.features.daily import DailyTable
from capstone_utils.features.online import OnlineFeatures
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.serving.judge import Judge, Ruling
from capstone_utils.serving.store import Models
from capstone_utils.transaction import Transaction

ANSWERS_KEPT = 100_000  # the latest ones, for transactions that are sent again


class Decision(NamedTuple):
    """What the detectives say about one payment. `features` has the spec's names, missing ones as NaN.

    A `duplicate` has the answer that its transaction_id was given before, and no features: they went with that answer.
    """

    transaction_id: int
    ruling: Ruling
    features: dict[str, float]
    duplicate: bool = False

    @property
    def probability(self) -> float:
        """The model's probability of fraud."""
        return self.ruling.probability

    @property
    def fraud(self) -> bool:
        """Whether the payment is called fraud."""
        return self.ruling.fraud


class Scorer:
    """The state of every customer and the models; for one thread, in the order of arrival."""

    def __init__(self, models: Models, daily: Mapping[str, DailyTable] | None = None, spec: FeatureSpec = SPEC) -> None:
        self.judge = Judge(models)
        self.daily = dict(daily or {})
        self.online = OnlineFeatures(spec, self.daily)
        self.watch: Callable[[Transaction, tuple[float, ...] | None], None] | None = None  # is told what was made
        self._answers: OrderedDict[tuple[int, int], Ruling] = OrderedDict()

    @property
    def models(self) -> Models:
        """What it decides with."""
        return self.judge.models

    def warm_up(self, history: Iterable[Transaction]) -> int:
        """How many transactions of `history` (in order of arrival) the state has now seen, without scoring them."""
        return sum(self.online.update(transaction) is not None for transaction in history)

    def score(self, transaction: Transaction) -> Decision | None:
        """The decision on one payment, which its customer's state has seen from now on.

        A transaction_id that was scored before gets that earlier answer, or None when it is no longer kept.
        """
        return self.score_many([transaction])[0]

    def score_many(self, transactions: Sequence[Transaction]) -> list[Decision | None]:
        """The decisions on payments in the order of arrival: features one by one, the model once for all of them."""
        made = [self.online.update(transaction) for transaction in transactions]
        if self.watch is not None:
            for transaction, features in zip(transactions, made, strict=True):
                self.watch(transaction, features)
        rulings = iter(self.judge.rule([features for features in made if features is not None]))
        return [
            self._again(transaction) if features is None else self._decide(transaction, features, next(rulings))
            for transaction, features in zip(transactions, made, strict=True)
        ]

    def _decide(self, transaction: Transaction, features: tuple[float, ...], ruling: Ruling) -> Decision:
        key = transaction.user_id, transaction.transaction_id
        self._answers[key] = ruling
        self._answers.move_to_end(key)
        if len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        named = dict(zip(self.online.spec.names, features, strict=True))
        return Decision(transaction.transaction_id, ruling, named)

    def _again(self, transaction: Transaction) -> Decision | None:
        ruling = self._answers.get((transaction.user_id, transaction.transaction_id))
        return None if ruling is None else Decision(transaction.transaction_id, ruling, {}, duplicate=True)
