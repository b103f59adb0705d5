"""From a raw transaction to a score: features from the online state, a verdict from the models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from capstone_utils.errors import CapstoneError
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.score import Score
from capstone_utils.serving.service.state.service_state import ServiceState
from capstone_utils.transaction import Transaction


class ConflictingTransaction(CapstoneError):
    """A transaction under an id that its user's earlier one has; `place` is its place in the call."""

    def __init__(self, place: int, transaction: Transaction, first: Transaction) -> None:
        self.place = place
        came, before = transaction.to_dict(), first.to_dict()
        names = [name for name in came if came[name] != before[name]]
        was, comes = (", ".join(f"{name}={fields[name]!r}" for name in names) for fields in (before, came))
        super().__init__(
            f"transaction_id={transaction.transaction_id} of user_id={transaction.user_id} came before with {was}, "
            f"and comes with {comes}: one that is sent again is sent unchanged, and another one has an id of its own"
        )


class Scorer:
    """The state of every user and the models; for one thread, in the order of arrival.

    Another thread may assign `classifier` all the same: that is one assignment of one reference, and each call here
    reads it once, at its beginning. So all of a call's verdicts are of one version.
    """

    def __init__(
        self,
        models: Models,
        daily: Mapping[str, DailyTable] | None = None,
        state: ServiceState | None = None,
    ) -> None:
        self.classifier = Classifier(models)
        self.daily = self._daily_found = dict(daily or {})
        self.state = ServiceState.empty(self.daily) if state is None else state
        self.online = self.state.online
        self.watch: Callable[[Transaction, tuple[float, ...] | None], None] | None = None  # sees the features made

    @property
    def models(self) -> Models:
        """The models in use."""
        return self.classifier.models

    def use_daily(self, daily: Mapping[str, DailyTable]) -> None:
        """Use these batch tables from the next call on; another thread may say so."""
        self._daily_found = dict(daily)

    def warm_up(self, history: Iterable[Transaction]) -> int:
        """Take in `history`, in order of arrival, without scoring it; the number that were no duplicates."""
        return sum(self.online.update(transaction) is not None for transaction in history)

    def score(self, transaction: Transaction) -> Score | None:
        """The score of one transaction, which its user's state has seen from now on.

        A transaction that was scored before gets that earlier score, or None when it is no longer kept.

        Raises:
            ConflictingTransaction: as `score_many`.
        """
        return self.score_many([transaction])[0]

    def score_many(self, transactions: Sequence[Transaction]) -> list[Score | None]:
        """The scores of transactions in the order of arrival: features one by one, the model once for all of them.

        Raises:
            ConflictingTransaction: when one comes under the id of another one; then none of them is taken in.
        """
        classifier = self.classifier
        self._check_ids(transactions)
        if self._daily_found is not self.daily:
            self.daily = self._daily_found
            self.online.use_daily(self.daily)
        repeats = [self.state.earlier(transaction) for transaction in transactions]
        rows = [
            None if repeat else self.online.update(transaction)
            for repeat, transaction in zip(repeats, transactions, strict=True)
        ]
        if self.watch is not None:
            for repeat, transaction, features in zip(repeats, transactions, rows, strict=True):
                if not repeat:
                    self.watch(transaction, features)
        verdicts = iter(classifier.classify([features for features in rows if features is not None]))
        scores: list[Score | None] = []
        for repeat, transaction, features in zip(repeats, transactions, rows, strict=True):
            if repeat:
                scores.append(repeat)
            elif features is None:  # sent twice in one call, or its score is no longer kept
                scores.append(self.state.earlier(transaction))
            else:
                score = Score(transaction, next(verdicts), features, classifier.version, self.state.spec_digits)
                self.state.keep(score)
                scores.append(score)
        return scores

    def _check_ids(self, transactions: Sequence[Transaction]) -> None:
        here: dict[tuple[int, int], Transaction] = {}  # the first under each id, in this call
        for place, transaction in enumerate(transactions):
            key = transaction.user_id, transaction.transaction_id
            first = here.setdefault(key, transaction)
            if first is transaction:
                first = self.state.first(transaction) or transaction
            if first != transaction:
                raise ConflictingTransaction(place, transaction, first)
