"""What each request for a prediction gets: bytes in, bytes out, nothing of HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.datastructures import State

from capstone_utils.features.spec import BRIEF_FEATURES
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.problems import Problem, ScoredBefore, wrong_fields
from capstone_utils.serving.service.schemas import PredictRequest
from capstone_utils.serving.service.state.journal import Entry, Journal
from capstone_utils.serving.service.state.scorer import Score, Scorer
from capstone_utils.transaction import FIELDS, InvalidTransaction, Transaction

MAX_BATCH = 1000
MAX_EXPLAINED = 50  # payments of a batch: reasons cost more than all else
MAX_AHEAD_SECONDS = 86_400.0  # later than that by our clock, a payment would make all that follow look late
KNOWN = {*FIELDS, "schema_version"}


class Endpoints:
    """Answers requests one after the other with `state.scorer`, which may be replaced meanwhile."""

    def __init__(
        self,
        state: State,
        metrics: ServiceMetrics,
        journal: Journal | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state, self._metrics, self._journal, self._clock = state, metrics, journal, clock
        self._unwritten: dict[tuple[int, int], Entry] = {}  # scored, and not in the journal: its disk was full

    def predict(self, body: bytes) -> bytes:
        """The brief's answer to the brief's five features.

        Raises:
            Problem: 422, for anything else.
        """
        began = time.perf_counter()
        try:
            given = PredictRequest.model_validate_json(body)
        except ValidationError as error:
            raise wrong_fields(error.errors()) from None
        verdict = self._state.scorer.classifier.classify_brief([getattr(given, name) for name in BRIEF_FEATURES])
        seconds = time.perf_counter() - began
        self._metrics.answered(verdict, seconds)
        return orjson.dumps(_brief(verdict.fraud, verdict.probability, seconds))

    def score(self, body: bytes, explain: bool = False) -> bytes:
        """The score on one raw payment, which becomes part of the history.

        Raises:
            Problem: 422 for anything else; 409 when it was scored before and its answer is gone; 503 when it could not
                be written down.
        """
        began = time.perf_counter()
        transaction = self._transaction(_json(body))
        (score,) = self._decide([transaction])
        if score is None:
            raise ScoredBefore(transaction.transaction_id)
        seconds = time.perf_counter() - began
        self._metrics.scored(score, seconds)
        return orjson.dumps(self._answer(score, seconds, explain))

    def score_batch(self, body: bytes, explain: bool = False) -> bytes:
        """The scores on up to `MAX_BATCH` raw payments, in their order; where one is wrong, none is taken in.

        A payment whose answer is gone has null in its place.
        """
        began = time.perf_counter()
        given = _json(body)
        if not isinstance(given, list) or not 1 <= len(given) <= MAX_BATCH:
            what = f"an array of {len(given)}" if isinstance(given, list) else type(given).__name__
            raise Problem(422, f"body is {what}; it should be an array of 1 to {MAX_BATCH} payments")
        if explain and len(given) > MAX_EXPLAINED:
            raise Problem(422, f"explain=true with {len(given)} payments; at most {MAX_EXPLAINED} are explained")
        transactions = []
        for place, fields in enumerate(given):
            try:
                transactions.append(self._transaction(fields))
            except InvalidTransaction as error:
                raise Problem(422, f"payment {place}: {error}") from None
        scores = self._decide(transactions)
        seconds = (time.perf_counter() - began) / len(scores)
        for score in scores:
            if score is not None:
                self._metrics.scored(score, seconds)
        return orjson.dumps([each and self._answer(each, seconds, explain) for each in scores])

    def _transaction(self, fields: Any) -> Transaction:
        transaction = Transaction.from_dict(fields)
        for name in fields.keys() - KNOWN:  # the first one is enough
            raise InvalidTransaction(name, fields[name], f"one of the fields {', '.join(FIELDS)}")
        if transaction.event_time_us > (self._clock() + MAX_AHEAD_SECONDS) * 1e6:
            raise InvalidTransaction("timestamp", fields["timestamp"], "at most a day ahead of this service's clock")
        return transaction

    def _decide(self, transactions: list[Transaction]) -> list[Score | None]:
        self._write_down()  # before the state takes in more
        scores: list[Score | None] = self._state.scorer.score_many(transactions)
        if self._journal is not None:
            for transaction, score in zip(transactions, scores, strict=True):
                if score is not None and not score.duplicate:
                    key = transaction.user_id, transaction.transaction_id
                    self._unwritten[key] = Entry(transaction, score.verdict, score.version)
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

    def _answer(self, score: Score, seconds: float, explain: bool) -> dict[str, Any]:
        scorer: Scorer = self._state.scorer
        verdict = score.verdict
        told = [reason.text for reason in scorer.classifier.explain(score.features, verdict)] if explain else None
        return {
            "transaction_id": score.transaction_id,
            **_brief(verdict.fraud, verdict.probability, seconds),
            "decided_by": "fallback" if verdict.by_fallback else "model",
            "reasons": told,
            "features": dict(zip(scorer.online.spec.names, score.features, strict=True)),  # NaN becomes null
            "duplicate": score.duplicate,
        }


def _brief(fraud: bool, probability: float, seconds: float) -> dict[str, Any]:
    return {"prediction": "Fraud" if fraud else "Legit", "fraud_probability": probability, "latency": seconds}


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidTransaction("message", body, f"JSON ({error})") from None
