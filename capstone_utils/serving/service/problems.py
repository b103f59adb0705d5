"""Problem details (RFC 9457): the responses to requests that get no prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson

MEDIA_TYPE = b"application/problem+json"
MAX_SENTENCES = 5  # for the wrong fields of one request; how many more there are is said


class Problem(Exception):
    """A request that gets a problem detail instead of a prediction."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def body(self) -> bytes:
        """The problem as JSON: type, title, status, detail."""
        title = HTTPStatus(self.status).phrase
        problem = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return orjson.dumps(problem)


class ScoredBefore(Problem):
    """A transaction that was seen before, and whose score is not kept."""

    def __init__(self, transaction_id: int) -> None:
        super().__init__(409, f"transaction_id={transaction_id} was seen before; a transaction has its own id")


def wrong_fields(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """A problem with a sentence for each error of pydantic, like "amount='much' is wrong: ..."."""
    sentences = [_sentence(error) for error in errors[:MAX_SENTENCES]]
    if len(errors) > MAX_SENTENCES:
        sentences.append(f"and {len(errors) - MAX_SENTENCES} more")
    return Problem(422, "; ".join(sentences))


def _sentence(error: Mapping[str, Any]) -> str:
    field = ".".join(str(part) for part in error["loc"] if part not in ("body", "query"))[:80] or "body"
    if error["type"] == "missing":
        return f"{field} is missing"
    if error["type"] in ("value_error", "json_invalid"):
        return str(error["msg"]).removeprefix("Value error, ")
    shown = repr(error.get("input"))
    return f"{field}={shown if len(shown) <= 80 else shown[:77] + '...'} is wrong: {error['msg']}"
