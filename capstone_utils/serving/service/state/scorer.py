"""From a raw payment to a score: features from the online state, a verdict from the models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.serving.model.classifier import Classifier, Verdict
from capstone_utils.serving.model.store import Models
from capstone_utils.transaction import Transaction

ANSWERS_KEPT = 50_000  # the latest ones, for transactions that are sent again: some 50 MB


class Score(NamedTuple):
    """What is said about one payment: the verdict, and the features in the spec's order, missing ones as NaN.

    A `duplicate` has the verdict and the features that its transaction_id was given before.
    """

    transaction_id: int
    verdict: Verdict
    features: tuple[float, ...]
    version: str  # of the models that ruled
    duplicate: bool = False

    @property
    def probability(self) -> float:
        """The model's probability of fraud."""
        return self.verdict.probability

    @property
    def fraud(self) -> bool:
        """Whether the payment is called fraud."""
        return self.verdict.fraud


class Scorer:
    """The state of every customer and the models; for one thread, in the order of arrival."""

    def __init__(self, models: Models, daily: Mapping[str, DailyTable] | None = None, spec: FeatureSpec = SPEC) -> None:
        self.classifier = Classifier(models)
        self.daily = dict(daily or {})
        self.online = OnlineFeatures(spec, self.daily)
        self.watch: Callable[[Transaction, tuple[float, ...] | None], None] | None = None  # is told what was made
        self._answers: OrderedDict[tuple[int, int], Score] = OrderedDict()

    @property
    def models(self) -> Models:
        """What it decides with."""
        return self.classifier.models

    def warm_up(self, history: Iterable[Transaction]) -> int:
        """How many transactions of `history` (in order of arrival) the state has now seen, without scoring them."""
        return sum(self.online.update(transaction) is not None for transaction in history)

    def remember(self, transaction: Transaction, verdict: Verdict, version: str) -> None:
        """Take in a payment that was scored before this process began, with the verdict that was given then."""
        features = self.online.update(transaction)
        if features is not None:
            self._keep(transaction, Score(transaction.transaction_id, verdict, features, version))

    def score(self, transaction: Transaction) -> Score | None:
        """The score on one payment, which its customer's state has seen from now on.

        A transaction_id that was scored before gets that earlier answer, or None when it is no longer kept.
        """
        return self.score_many([transaction])[0]

    def score_many(self, transactions: Sequence[Transaction]) -> list[Score | None]:
        """The scores on payments in the order of arrival: features one by one, the model once for all of them."""
        classifier = self.classifier  # one look: another one may take its place meanwhile
        kept = [self._again(transaction) for transaction in transactions]
        made = [
            None if again else self.online.update(transaction)
            for again, transaction in zip(kept, transactions, strict=True)
        ]
        if self.watch is not None:
            for again, transaction, features in zip(kept, transactions, made, strict=True):
                if not again:
                    self.watch(transaction, features)
        verdicts = iter(classifier.classify([features for features in made if features is not None]))
        return [
            again or self._again(transaction)  # sent twice in one call, or too long ago for its answer to be kept
            if features is None
            else self._keep(
                transaction, Score(transaction.transaction_id, next(verdicts), features, classifier.version)
            )
            for again, transaction, features in zip(kept, transactions, made, strict=True)
        ]

    def _keep(self, transaction: Transaction, score: Score) -> Score:
        key = transaction.user_id, transaction.transaction_id
        self._answers[key] = score
        self._answers.move_to_end(key)
        if len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return score

    def _again(self, transaction: Transaction) -> Score | None:
        score = self._answers.get((transaction.user_id, transaction.transaction_id))
        return None if score is None else score._replace(duplicate=True)
