"""What a request that gets no prediction is told: a problem detail (RFC 9457), and how it is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson

MEDIA_TYPE = b"application/problem+json"
MOST_TOLD = 5  # wrong fields of one request; how many more there are is said


class Problem(Exception):
    """A request that is answered with a problem detail instead of a prediction."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def body(self) -> bytes:
        """The problem as JSON: type, title, status, detail."""
        title = HTTPStatus(self.status).phrase
        problem = {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}
        return orjson.dumps(problem)


class ScoredBefore(Problem):
    """A transaction_id whose payment was seen before, and whose answer is not kept."""

    def __init__(self, transaction_id: int) -> None:
        super().__init__(409, f"transaction_id={transaction_id} was seen before; a payment has its own id")


def wrong_fields(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """What pydantic found wrong, a sentence each: "amount='much' is wrong: Input should be a valid number"."""
    sentences = [_sentence(error) for error in errors[:MOST_TOLD]]
    if len(errors) > MOST_TOLD:
        sentences.append(f"and {len(errors) - MOST_TOLD} more")
    return Problem(422, "; ".join(sentences))


def _sentence(error: Mapping[str, Any]) -> str:
    field = ".".join(str(part) for part in error["loc"] if part not in ("body", "query"))[:80] or "body"
    if error["type"] == "missing":
        return f"{field} is missing"
    if error["type"] in ("value_error", "json_invalid"):
        return str(error["msg"]).removeprefix("Value error, ")
    shown = repr(error.get("input"))
    return f"{field}={shown if len(shown) <= 80 else shown[:77] + '...'} is wrong: {error['msg']}"
