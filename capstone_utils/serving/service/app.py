"""The HTTP service's routes: ready features or raw transactions in; a verdict out, timed and counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from capstone_utils import __version__
from capstone_utils.features.spec import BRIEF_FEATURES
from capstone_utils.serving.service.admission import KEY_HEADER, Admission, count_problem
from capstone_utils.serving.service.endpoints import MAX_BATCH, Endpoints
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.problems import MEDIA_TYPE, Problem, wrong_fields
from capstone_utils.serving.service.schemas import (
    TRANSACTION_SCHEMA,
    Health,
    ModelDescription,
    PredictRequest,
    PredictResponse,
    ProblemDetail,
    Readiness,
    ScoreResponse,
    json_body,
)
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.transaction import DAY_SECONDS

BATCH_SCHEMA = {"type": "array", "items": TRANSACTION_SCHEMA, "minItems": 1, "maxItems": MAX_BATCH}
WHY = {
    401: "The key is missing or wrong",
    408: "The body did not arrive in time",
    409: "The id was given before: to another transaction, or to this one, whose score is gone",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "A field is missing or wrong",
    503: "Too much at once, or the score could not be written down; try again",
}


EXPLAIN = {
    "name": "explain",
    "in": "query",
    "required": False,
    "schema": {"type": "boolean", "default": False, "title": "Explain"},
}


class Route(NamedTuple):
    """A route of the predictions: what answers it, and what OpenAPI says of it."""

    path: str
    respond: Callable[[Endpoints, bytes, bool], bytes]
    request: dict[str, Any]  # a JSON schema
    response: Any  # a pydantic model
    statuses: tuple[int, ...]  # beside those that every route has
    explains: bool
    description: str


ROUTES = (
    Route(
        "/predict/",
        Endpoints.predict,
        PredictRequest.model_json_schema(),
        PredictResponse,
        (503,),
        False,
        "Fraud or not, from the brief's five features.",
    ),
    Route(
        "/score",
        Endpoints.score,
        TRANSACTION_SCHEMA,
        ScoreResponse,
        (409, 503),
        True,
        "Fraud or not, from one raw payment; its features are made on the fly and it becomes part of the history.\n\n"
        "Sent again (its user_id and transaction_id say so), it gets the same response, and nothing changes; another "
        "payment under its id is 409. With `explain=true` the response says what spoke loudest for fraud, in plain "
        "words.",
    ),
    Route(
        "/score/batch",
        Endpoints.score_batch,
        BATCH_SCHEMA,
        list[ScoreResponse | None],
        (409, 503),
        True,
        "The same for many payments in their order: all are taken in, or none where one is wrong.",
    ),
)


def create_app(
    scorer: Scorer,
    metrics: ServiceMetrics,
    journal: Journal | None = None,
    pending: Callable[[], int] = lambda: 0,
    api_key: str = "",
) -> FastAPI:
    """The service's routes around `app.state.scorer`, which may be replaced while it runs.

    Every prediction is made without a pause on the event loop's thread: one transaction after the other. So the state
    sees them in one order, and needs no lock. `pending` counts the requests that the server has begun and not ended.
    """
    app = FastAPI(
        title="Streaming fraud detection",
        description="Ready features to `/predict/`, raw payments to `/score`. Errors are problem details (RFC 9457).",
        version=__version__,
        redirect_slashes=False,
        dependencies=[Security(APIKeyHeader(name=KEY_HEADER, auto_error=False))] if api_key else [],  # for /docs
    )
    app.state.scorer = scorer
    endpoints = Endpoints(app.state, metrics, journal)
    for route in ROUTES:
        _describe(app, route)
    _add_health(app)
    _add_problems(app, metrics)
    routes = {route.path.removesuffix("/"): partial(route.respond, endpoints) for route in ROUTES}
    app.add_middleware(Admission, routes=routes, metrics=metrics, pending=pending, api_key=api_key)
    return app


def _describe(app: FastAPI, route: Route) -> None:
    """Show the route in OpenAPI; `Admission` answers its requests before they would come here."""

    async def stub() -> None:
        raise NotImplementedError(f"Admission answers {route.path}")

    app.add_api_route(
        route.path,
        stub,
        methods=["POST"],
        name=route.respond.__name__,
        description=route.description,
        response_model=route.response,
        responses=_problems(401, 408, 413, 415, 422, *route.statuses),
        openapi_extra=json_body(route.request) | ({"parameters": [EXPLAIN]} if route.explains else {}),
    )


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> Health:
        """The process is alive."""
        return Health(status="ok")

    @app.get("/readyz", responses=_problems(503))
    async def readyz() -> Readiness:
        """Ready: a prediction was just made, and not counted."""
        return _readiness(app.state.scorer)

    @app.get("/model", responses=_problems(401))
    async def model() -> ModelDescription:
        """The models in use: version, thresholds, features, training, and what they reached."""
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
    """Make a problem detail of what FastAPI refuses, and count it."""

    def refuse(problem: Problem) -> Response:
        count_problem(metrics, problem, at_door=False)
        return Response(problem.body(), problem.status, problem.headers, MEDIA_TYPE.decode())

    @app.exception_handler(RequestValidationError)
    async def wrong_parameters(_: Request, error: RequestValidationError) -> Response:
        return refuse(wrong_fields(error.errors()))

    @app.exception_handler(HTTPException)
    async def wrong_request(request: Request, error: HTTPException) -> Response:
        what = f"{request.method} {request.url.path}: {error.detail}"
        headers = dict(error.headers or {})
        if headers.get("Allow") == "GET":
            headers["Allow"] = "GET, HEAD"
        return refuse(Problem(error.status_code, what, headers))

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return refuse(error)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return refuse(Problem(500, f"the service failed ({type(error).__name__})"))


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of problems with these statuses."""
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
        users=len(scorer.online.users),
        batch_tables={name: _date(table.first_day + len(table.values) - 1) for name, table in scorer.daily.items()},
    )


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_SECONDS, UTC).date().isoformat()
