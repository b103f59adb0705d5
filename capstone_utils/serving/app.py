"""The HTTP service: ready features in, or a raw payment in; a verdict out, timed and counted."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from capstone_utils.features.spec import BRIEF_FEATURES
from capstone_utils.serving.messages import (
    TRANSACTION_BODY,
    Health,
    PredictAnswer,
    PredictRequest,
    Readiness,
    Refusal,
    ScoreAnswer,
    Verdict,
)
from capstone_utils.serving.metrics import FAILED, REFUSED, ServiceMetrics
from capstone_utils.serving.scorer import Decision, Scorer
from capstone_utils.transaction import InvalidTransaction, Transaction

REFUSALS: dict[int | str, dict[str, Any]] = {422: {"model": Refusal, "description": "A field is missing or wrong"}}
GONE: dict[int | str, dict[str, Any]] = {409: {"model": Refusal, "description": "Scored before, its answer is gone"}}


class ScoredBefore(ValueError):
    """A transaction_id whose payment was seen before, and whose answer is not kept."""


def create_app(scorer: Scorer, metrics: ServiceMetrics) -> FastAPI:
    """The service's routes around `app.state.scorer`, which may be replaced while it runs.

    The routes that touch the scorer are coroutines that do not pause while they do: one payment after the other, on the
    event loop's thread. So the state sees payments in one order, and needs no lock.
    """
    app = FastAPI(
        title="Streaming fraud detection",
        description="Ready features to `/predict/`, raw payments to `/score`.",
        version="1.0.0",
    )
    app.state.scorer = scorer
    _add_predictions(app, metrics)
    _add_health(app)
    _add_refusals(app, metrics)
    return app


def _add_predictions(app: FastAPI, metrics: ServiceMetrics) -> None:
    @app.post("/predict/", responses=REFUSALS)
    async def predict(body: PredictRequest) -> PredictAnswer:
        """Fraud or not, from the brief's five features."""
        began = time.perf_counter()
        probability, fraud, _ = app.state.scorer.judge.rule_brief([getattr(body, name) for name in BRIEF_FEATURES])
        seconds = time.perf_counter() - began
        metrics.answered(probability, fraud, seconds)
        return PredictAnswer(prediction=_verdict(fraud), fraud_probability=probability, latency=seconds)

    @app.post("/score", responses=REFUSALS | GONE, openapi_extra={"requestBody": TRANSACTION_BODY})
    async def score(request: Request, explain: bool = False) -> ScoreAnswer:
        """Fraud or not, from one raw payment; its features are made on the fly and it becomes part of the history.

        With `explain=true` the answer says what spoke loudest for fraud, in plain words.
        """
        began = time.perf_counter()
        transaction = Transaction.from_json(await request.body())
        decision: Decision | None = app.state.scorer.score(transaction)
        if decision is None:
            raise ScoredBefore(f"transaction_id={transaction.transaction_id} was seen before; a payment has its own id")
        seconds = time.perf_counter() - began
        metrics.scored(decision, seconds)
        return ScoreAnswer(
            transaction_id=decision.transaction_id,
            prediction=_verdict(decision.fraud),
            fraud_probability=decision.probability,
            latency=seconds,
            decided_by="fallback" if decision.ruling.by_fallback else "model",
            reasons=_reasons(app.state.scorer, decision) if explain else None,
            features={name: None if math.isnan(value) else value for name, value in decision.features.items()},
            duplicate=decision.duplicate,
        )


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> Health:
        """The process answers."""
        return Health(status="ok")

    @app.get("/readyz", responses={503: {"model": Refusal, "description": "It cannot decide"}})
    async def readyz() -> Readiness:
        """Ready to decide: a prediction was just made, and not counted."""
        return _readiness(app.state.scorer)


def _add_refusals(app: FastAPI, metrics: ServiceMetrics) -> None:
    """Every request without a prediction is answered with a sentence, and counted."""

    def refuse(sentence: str, status: int) -> JSONResponse:
        metrics.errors.labels(FAILED if status >= 500 else REFUSED).inc()
        return JSONResponse({"detail": sentence}, status_code=status)

    @app.exception_handler(RequestValidationError)
    async def wrong_fields(_: Request, error: RequestValidationError) -> JSONResponse:
        return refuse("; ".join(map(_sentence, error.errors())), 422)

    @app.exception_handler(InvalidTransaction)
    async def wrong_transaction(_: Request, error: InvalidTransaction) -> JSONResponse:
        return refuse(str(error), 422)

    @app.exception_handler(ScoredBefore)
    async def scored_before(_: Request, error: ScoredBefore) -> JSONResponse:
        return refuse(str(error), 409)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return refuse(f"the service failed ({type(error).__name__}); the payment was not scored", 500)


def _readiness(scorer: Scorer) -> Readiness:
    try:
        scorer.judge.rule_brief([1.0] * len(BRIEF_FEATURES))
    except Exception as error:
        raise HTTPException(503, f"the model does not answer: {error!r}") from error
    return Readiness(
        ready=True,
        spec_hash=scorer.online.spec.hash,
        customers=len(scorer.online.users),
        batch_tables={name: _date(table.first_day + len(table.values) - 1) for name, table in scorer.daily.items()},
    )


def _reasons(scorer: Scorer, decision: Decision) -> list[str]:
    """In plain words; none for a payment that was scored before, whose features went with the first answer."""
    if decision.duplicate:
        return []
    return [reason.text for reason in scorer.judge.explain(list(decision.features.values()), decision.ruling)]


def _verdict(fraud: bool) -> Verdict:
    return "Fraud" if fraud else "Legit"


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _sentence(error: dict[str, Any]) -> str:
    """One of pydantic's errors as "amount='much' is wrong: Input should be a valid number"."""
    field = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
    if error["type"] == "missing":
        return f"{field} is missing"
    shown = repr(error.get("input"))
    if error["type"] in ("value_error", "json_invalid"):
        return f"{error['msg'].removeprefix('Value error, ')}"
    return f"{field}={shown if len(shown) <= 80 else shown[:77] + '...'} is wrong: {error['msg']}"
