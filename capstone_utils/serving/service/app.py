"""The HTTP service: ready features in, or raw payments in; a verdict out, timed and counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from capstone_utils.features.spec import BRIEF_FEATURES
from capstone_utils.serving.service.admission import KEY_HEADER, Admission, count_problem
from capstone_utils.serving.service.endpoints import MAX_BATCH, Endpoints
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.problems import MEDIA_TYPE, Problem, wrong_fields
from capstone_utils.serving.service.schemas import (
    TRANSACTION_SCHEMA,
    Health,
    ModelDescription,
    PredictAnswer,
    PredictRequest,
    ProblemDetail,
    Readiness,
    ScoreAnswer,
    json_body,
)
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.scorer import Scorer

BATCH_SCHEMA = {"type": "array", "items": TRANSACTION_SCHEMA, "minItems": 1, "maxItems": MAX_BATCH}
WHY = {
    401: "The key is missing or wrong",
    408: "The body did not arrive in time",
    409: "Scored before, and its answer is gone",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "A field is missing or wrong",
    503: "Too much at once, or the answer could not be written down; try again",
}


def create_app(
    scorer: Scorer,
    metrics: ServiceMetrics,
    journal: Journal | None = None,
    pending: Callable[[], int] = lambda: 0,
    api_key: str = "",
) -> FastAPI:
    """The service's routes around `app.state.scorer`, which may be replaced while it runs.

    Every prediction is made without a pause on the event loop's thread: one payment after the other. So the state sees
    payments in one order, and needs no lock. `pending` says how many requests are under way.
    """
    app = FastAPI(
        title="Streaming fraud detection",
        description="Ready features to `/predict/`, raw payments to `/score`. Errors are problem details (RFC 9457).",
        version="1.0.0",
        dependencies=[Security(APIKeyHeader(name=KEY_HEADER, auto_error=False))] if api_key else [],  # for /docs
    )
    app.state.scorer = scorer
    endpoints = Endpoints(app.state, metrics, journal)
    _add_predictions(app, endpoints)
    _add_health(app)
    _add_problems(app, metrics)
    routes = {
        "/predict/": lambda body, _: endpoints.predict(body),
        "/score": endpoints.score,
        "/score/batch": endpoints.score_batch,
    }
    app.add_middleware(Admission, routes=routes, metrics=metrics, pending=pending, api_key=api_key)
    return app


def _add_predictions(app: FastAPI, endpoints: Endpoints) -> None:
    """The routes as OpenAPI shows them; `Admission` answers them with the same endpoints before they are reached."""

    def route(path: str, answer: Any, schema: dict[str, Any], *statuses: int) -> Callable[..., Any]:
        return app.post(
            path,
            response_model=answer,
            responses=_problems(401, 408, 413, 415, 422, *statuses),
            openapi_extra=json_body(schema),
        )

    def answered(payload: bytes) -> Response:
        return Response(payload, media_type="application/json")

    @route("/predict/", PredictAnswer, PredictRequest.model_json_schema(), 503)
    async def predict(request: Request) -> Response:
        """Fraud or not, from the brief's five features."""
        return answered(endpoints.predict(await request.body()))

    @route("/score", ScoreAnswer, TRANSACTION_SCHEMA, 409, 503)
    async def score(request: Request, explain: bool = False) -> Response:
        """Fraud or not, from one raw payment; its features are made on the fly and it becomes part of the history.

        Sent again (its user_id and transaction_id say so), it gets the same answer, and nothing changes. With
        `explain=true` the answer says what spoke loudest for fraud, in plain words.
        """
        return answered(endpoints.score(await request.body(), explain))

    @route("/score/batch", list[ScoreAnswer | None], BATCH_SCHEMA, 503)
    async def score_batch(request: Request, explain: bool = False) -> Response:
        """The same for many payments in their order: all are taken in, or none where one is wrong."""
        return answered(endpoints.score_batch(await request.body(), explain))


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> Health:
        """The process answers."""
        return Health(status="ok")

    @app.get("/readyz", responses=_problems(503))
    async def readyz() -> Readiness:
        """Ready to decide: a prediction was just made, and not counted."""
        return _readiness(app.state.scorer)

    @app.get("/model", responses=_problems(401))
    async def model() -> ModelDescription:
        """What decides: versions, thresholds, features, when and on what it was trained, and what it reached."""
        models = app.state.scorer.models
        return ModelDescription(
            version=models.version,
            features={role: list(model.features) for role, model in models.by_role.items()},
            thresholds={role: model.threshold for role, model in models.by_role.items()},
            fallback=models.fallback is not None,
            training=dict(models.training),
            metrics=dict(models.metrics),
        )


def _add_problems(app: FastAPI, metrics: ServiceMetrics) -> None:
    """What FastAPI refuses is a problem detail too, and counted."""

    def refuse(problem: Problem) -> Response:
        count_problem(metrics, problem)
        return Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE.decode())

    @app.exception_handler(RequestValidationError)
    async def wrong_parameters(_: Request, error: RequestValidationError) -> Response:
        return refuse(wrong_fields(error.errors()))

    @app.exception_handler(HTTPException)
    async def wrong_request(request: Request, error: HTTPException) -> Response:
        what = f"{request.method} {request.url.path}: {error.detail}"
        return refuse(Problem(error.status_code, what, error.headers))

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return refuse(error)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return refuse(Problem(500, f"the service failed ({type(error).__name__})"))


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these refusals."""
    content = {MEDIA_TYPE.decode(): {"schema": {"$ref": "#/components/schemas/ProblemDetail"}}}
    return {status: {"model": ProblemDetail, "description": WHY[status], "content": content} for status in statuses}


def _readiness(scorer: Scorer) -> Readiness:
    try:
        scorer.classifier.classify_brief([1.0] * len(BRIEF_FEATURES))
    except Exception as error:
        raise Problem(503, f"the model does not answer: {error!r}") from error
    return Readiness(
        ready=True,
        model_version=scorer.classifier.version,
        spec_hash=scorer.online.spec.hash,
        customers=len(scorer.online.users),
        batch_tables={name: _date(table.first_day + len(table.values) - 1) for name, table in scorer.daily.items()},
    )


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
