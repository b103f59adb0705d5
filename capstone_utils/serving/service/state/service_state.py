"""The memory of the service: every user's features, and the latest scores for transactions that are sent again.

It is a function of the history and of the journal, whatever the models and the batch tables say.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC
from capstone_utils.serving.score import SPEC_DIGITS, Score
from capstone_utils.transaction import Transaction

SCORES_KEPT = 50_000  # the latest ones: some 70 MB


class ServiceState:
    """Users' features in `online`, and in `scores` the latest scores by user_id and transaction_id, oldest first."""

    def __init__(self, online: OnlineFeatures, scores: Iterable[Score] = ()) -> None:
        self.online = online
        self.spec_digits = online.spec.hash[:SPEC_DIGITS]
        self.scores: OrderedDict[tuple[int, int], Score] = OrderedDict((score.key, score) for score in scores)

    @classmethod
    def empty(cls, daily: Mapping[str, DailyTable] | None = None) -> ServiceState:
        """A state that has seen nothing."""
        return cls(OnlineFeatures(SPEC, daily))

    def earlier(self, transaction: Transaction) -> Score | None:
        """The score that the transaction was given before, as a duplicate; None when there is none, or it is gone."""
        score = self.scores.get((transaction.user_id, transaction.transaction_id))
        return None if score is None else score._replace(duplicate=True)

    def first(self, transaction: Transaction) -> Transaction | None:
        """The transaction that came first under this user_id and transaction_id, as far as it is kept; else None."""
        score = self.scores.get((transaction.user_id, transaction.transaction_id))
        return self.online.first(transaction) if score is None else score.transaction

    def keep(self, score: Score) -> None:
        """Keep the score for when its transaction is sent again."""
        self.scores[score.key] = score
        self.scores.move_to_end(score.key)
        if len(self.scores) > SCORES_KEPT:
            self.scores.popitem(last=False)

    def replay(self, score: Score) -> None:
        """Take in a score of the journal: its transaction into the user's features, and the score as it was given.

        Where its features are of another spec, or an older journal left them out, they are those that are made here.
        """
        features = self.online.update(score.transaction)
        if score.spec != self.spec_digits:
            if features is None:
                return
            score = score._replace(features=features, spec=self.spec_digits)
        self.keep(score)
