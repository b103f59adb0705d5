"""Admission of requests: keys, sizes, media types, how many at once; and the shortest way to a response.

Requests for predictions are served here and not by FastAPI, whose machinery would cost more than the prediction. It
describes the same routes and serves everything else.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capstone_utils.serving.service.metrics import FAILED, REFUSED, SHED, ServiceMetrics
from capstone_utils.serving.service.problems import MEDIA_TYPE, Problem
from capstone_utils.serving.service.slow_clients import Exchange
from capstone_utils.transaction import InvalidTransaction

LOG = logging.getLogger(__name__)
KEY_HEADER = "X-API-Key"
OPEN = ("/healthz", "/readyz", "/docs", "/openapi.json")  # need no key
MAX_BYTES = 64 * 1024  # of a body; of a batch: BATCH_BYTES
BATCH_BYTES = 1024 * 1024
BODY_SECONDS = 10.0  # for a body to arrive
MAX_PENDING = 256  # requests that have come whole and have no response yet; more are turned away
MAX_READING = 2_000  # requests whose bodies are on their way, to be read or to be dropped

Respond = Callable[[bytes, bool], bytes]  # from a body, and whether reasons are asked for


class Admission:
    """ASGI middleware. `routes` holds the function that responds, by path without a slash at its end.

    `pending` counts the requests that the server has begun and not ended: ASGI does not show what waits in the event
    loop's queue. Taken off are those whose body is on its way, and those that got their response in this turn of the
    loop, since the server ends them in its next turn.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[str, Respond],
        metrics: ServiceMetrics,
        pending: Callable[[], int],
        api_key: str = "",
    ) -> None:
        self._app, self._routes, self._metrics, self._pending = app, routes, metrics, pending
        self._key = api_key.encode()
        self._ended = 0  # requests that got their response in this turn of the loop
        self._reading = 0  # requests whose body is on its way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request for a prediction; let everything else through to the app."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path, headers = _path(scope), dict(scope["headers"])
        respond = self._routes.get(path)
        exchange = Exchange(receive, send, b"expect" in headers, self._reading <= MAX_READING)
        try:
            if self._key and path not in OPEN:
                self._check_key(headers)
            if respond is None:
                with self._body_on_its_way():
                    return await self._app(_as_get(scope, path), exchange.receive, exchange.send)
            payload = await self._predict(respond, scope, headers, exchange)
            self._end()
        except InvalidTransaction as error:
            return await self._refuse(Problem(422, str(error)), respond is not None, exchange)
        except Problem as problem:
            return await self._refuse(problem, respond is not None, exchange)
        except Exception as error:
            LOG.exception("a request failed")
            detail = f"the service failed ({type(error).__name__}); send it again"
            return await self._refuse(Problem(500, detail), respond is not None, exchange)
        if payload is not None:
            await _send(send, 200, b"application/json", payload, {})
        return None

    async def _predict(
        self, respond: Respond, scope: Scope, headers: Mapping[bytes, bytes], exchange: Exchange
    ) -> bytes | None:
        """The response to a request for a prediction; None when the caller has gone before its body was complete."""
        if scope["method"] != "POST":
            raise Problem(405, f"{scope['method']} {scope['path']}: Method Not Allowed", {"Allow": "POST"})
        if self._pending() - self._ended - self._reading > MAX_PENDING or self._reading > MAX_READING:
            raise Problem(503, "too many requests at once; try again in a second", {"Retry-After": "1"})
        limit = BATCH_BYTES if scope["path"].rstrip("/").endswith("/batch") else MAX_BYTES
        _check_body(headers, limit)
        self._reading += 1  # what `_body_on_its_way` does, at a tenth of its cost
        try:
            body = await _read(exchange.receive, limit)
        finally:
            self._reading -= 1
        return None if body is None else respond(body, _explain(scope["query_string"]))

    def _check_key(self, headers: Mapping[bytes, bytes]) -> None:
        if not hmac.compare_digest(headers.get(KEY_HEADER.lower().encode(), b""), self._key):
            raise Problem(
                401, f"the header {KEY_HEADER} does not hold this service's key", {"WWW-Authenticate": "ApiKey"}
            )

    def _end(self) -> None:
        """Count a request that has its response, until the loop comes round and uvicorn ends its task."""
        if not self._ended:
            asyncio.get_running_loop().call_soon(self._forget)
        self._ended += 1

    def _forget(self) -> None:
        self._ended = 0

    @contextmanager
    def _body_on_its_way(self) -> Iterator[None]:
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    async def _refuse(self, problem: Problem, at_door: bool, exchange: Exchange) -> None:
        count_problem(self._metrics, problem, at_door)
        with self._body_on_its_way():
            await _send(exchange.send, problem.status, MEDIA_TYPE, problem.body(), problem.headers)
        self._end()


def count_problem(metrics: ServiceMetrics, problem: Problem, at_door: bool) -> None:
    """Count a request without a prediction: by its kind at a door for predictions, else by its status.

    Probes and scanners send other methods, ask for other paths, or have no key: nobody's transaction goes unscored.
    """
    if not at_door or problem.status in (401, 405):
        metrics.others.labels(str(problem.status)).inc()
        return
    shed = problem.status == 503 and "Retry-After" in problem.headers
    metrics.errors.labels(SHED if shed else FAILED if problem.status >= 500 else REFUSED).inc()


def _path(scope: Scope) -> str:
    """The request's path, with or without a slash at its end."""
    path: str = scope["path"]
    return path if path.endswith("//") else path.removesuffix("/") or "/"


def _as_get(scope: Scope, path: str) -> Scope:
    """The request for the app, which answers HEAD as it answers GET: the server leaves out the body."""
    return {**scope, "path": path, "method": "GET" if scope["method"] == "HEAD" else scope["method"]}


def _check_body(headers: Mapping[bytes, bytes], limit: int) -> None:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Problem(415, f"Content-Type {kind.decode('latin-1')!r} is not application/json")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > limit:
        raise Problem(413, f"a body of {length.decode('latin-1')[:20]} bytes; at most {limit} are read")


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when the caller has gone before it was complete."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message: Message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += bytes(message.get("body", b""))
                if len(body) > limit:
                    raise Problem(413, f"a body of more than {limit} bytes; no more are read")
                if not message.get("more_body"):
                    return body
    except TimeoutError:
        raise Problem(408, f"the body did not arrive within {BODY_SECONDS:.0f} s") from None


def _explain(query: bytes) -> bool:
    """True when the query asks for reasons."""
    if not query:
        return False
    explain = parse_qs(query.decode("latin-1")).get("explain", ["false"])[-1]
    if explain not in ("true", "false"):
        raise Problem(422, f"explain={explain!r} is neither true nor false")
    return explain == "true"


async def _send(send: Send, status: int, kind: bytes, payload: bytes, headers: Mapping[str, str]) -> None:
    fields = [(b"content-type", kind), (b"content-length", b"%d" % len(payload))]
    fields += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": payload})
