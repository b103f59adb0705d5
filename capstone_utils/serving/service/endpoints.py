"""The endpoints of the predictions: from a request's body to the response's, or a `Problem` with its HTTP status."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.datastructures import State

from capstone_utils.features.spec import BRIEF_FEATURES
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score, verdict_values
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.problems import Problem, ScoredBefore, wrong_fields
from capstone_utils.serving.service.schemas import PredictRequest
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.scorer import ConflictingTransaction, Scorer
from capstone_utils.transaction import InvalidTransaction, Transaction

MAX_BATCH = 1000
MAX_EXPLAINED = 50  # transactions of a batch: reasons cost more than all else


class Endpoints:
    """Responses to requests, one after the other, by `state.scorer`, which may be replaced meanwhile.

    Each method takes a body, and whether reasons are asked for.
    """

    def __init__(
        self,
        state: State,
        metrics: ServiceMetrics,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state, self._metrics, self._journal, self._clock = state, metrics, journal, clock
        self._unwritten: dict[tuple[int, int], Score] = {}  # not in the journal: its disk was full

    def predict(self, body: bytes, explain: bool = False) -> bytes:
        """The verdict on the brief's five features; there are no reasons for it.

        Raises:
            Problem: 422, for anything else.
        """
        began = time.perf_counter()
        try:
            request = PredictRequest.model_validate_json(body)
        except ValidationError as error:
            raise wrong_fields(error.errors()) from None
        verdict = self._state.scorer.classifier.classify_brief([getattr(request, name) for name in BRIEF_FEATURES])
        seconds = time.perf_counter() - began
        self._metrics.answered(verdict, seconds)
        fields = _response(verdict, seconds)
        del fields["decided_by"]  # the brief's response has three fields
        return orjson.dumps(fields)

    def score(self, body: bytes, explain: bool = False) -> bytes:
        """The score of one raw transaction, which becomes part of the history.

        Raises:
            InvalidTransaction: for anything else.
            Problem: 409 when its id was given before, to another transaction or to this one, whose score is gone; 503
                when it could not be written down.
        """
        began = time.perf_counter()
        transaction = self._transaction(_json(body))
        (score,) = self._score([transaction])
        if score is None:
            raise ScoredBefore(transaction.transaction_id)
        seconds = time.perf_counter() - began
        self._metrics.scored(score, seconds)
        return orjson.dumps(self._score_response(score, seconds, explain))

    def score_batch(self, body: bytes, explain: bool = False) -> bytes:
        """The scores of up to `MAX_BATCH` raw transactions, in their order; where one is wrong, none is taken in.

        A transaction that was scored before and whose score is gone has null in its place.

        Raises:
            InvalidTransaction: for a body that is no JSON.
            Problem: 422 for anything else that is wrong; 409 when an id was given before, to another transaction; 503
                when the scores could not be written down.
        """
        began = time.perf_counter()
        items = _json(body)
        if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
            what = f"an array of {len(items)}" if isinstance(items, list) else type(items).__name__
            raise Problem(422, f"body is {what}; it should be an array of 1 to {MAX_BATCH} payments")
        if explain and len(items) > MAX_EXPLAINED:
            raise Problem(422, f"explain=true with {len(items)} payments; at most {MAX_EXPLAINED} are explained")
        transactions = []
        for place, fields in enumerate(items):
            try:
                transactions.append(self._transaction(fields))
            except InvalidTransaction as error:
                raise Problem(422, f"payment {place}: {error}") from None
        scores = self._score(transactions)
        seconds = (time.perf_counter() - began) / len(scores)
        for score in scores:
            if score is not None:
                self._metrics.scored(score, seconds)
        return orjson.dumps([score and self._score_response(score, seconds, explain) for score in scores])

    def _transaction(self, fields: Any) -> Transaction:
        transaction = Transaction.from_dict(fields)
        transaction.check_clock(int(self._clock() * 1e6), "this service's clock")
        return transaction

    def _score(self, transactions: list[Transaction]) -> list[Score | None]:
        self._write_down()  # before the state takes in more
        try:
            scores: list[Score | None] = self._state.scorer.score_many(transactions)
        except ConflictingTransaction as error:
            self._metrics.conflicts.inc()
            where = f"payment {error.place}: " if len(transactions) > 1 else ""
            raise Problem(409, f"{where}{error}") from None
        if self._journal is not None:
            for score in scores:
                if score is not None and not score.duplicate:
                    self._unwritten[score.key] = score
            self._write_down()
        return scores

    def _write_down(self) -> None:
        """Write what is not in the journal yet.

        Raises:
            Problem: 503, when some of it could not be written.
        """
        if self._journal is None or not self._unwritten:
            return
        try:
            while self._unwritten:
                key = next(iter(self._unwritten))
                self._journal.append(self._unwritten[key])
                del self._unwritten[key]
        except OSError as error:
            detail = f"the payment could not be written down ({error.strerror or error}); send it again"
            raise Problem(503, detail, {"Retry-After": "1"}) from None
        finally:
            self._metrics.unwritten.set(len(self._unwritten))

    def _score_response(self, score: Score, seconds: float, explain: bool) -> dict[str, Any]:
        scorer: Scorer = self._state.scorer
        reasons = scorer.classifier.explain(score.features, score.verdict) if explain else None
        return {
            "transaction_id": score.transaction.transaction_id,
            **_response(score.verdict, seconds),
            "reasons": None if reasons is None else [reason.text for reason in reasons],
            "features": dict(zip(scorer.online.spec.names, score.features, strict=True)),  # NaN becomes null
            "duplicate": score.duplicate,
        }


def _response(verdict: Verdict, seconds: float) -> dict[str, Any]:
    prediction, probability, decided_by = verdict_values(verdict)
    return {
        "prediction": prediction,
        "fraud_probability": probability,
        "latency": seconds,
        "decided_by": decided_by,
    }


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidTransaction("message", body, f"JSON ({error})") from None
