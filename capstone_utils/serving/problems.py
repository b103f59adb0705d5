"""What a request that gets no prediction is told: a problem detail (RFC 9457), and how it is counted."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

MEDIA_TYPE = b"application/problem+json"


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


def sentence(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors as "amount='much' is wrong: Input should be a valid number"."""
    field = ".".join(str(part) for part in error["loc"] if part not in ("body", "query")) or "body"
    if error["type"] == "missing":
        return f"{field} is missing"
    if error["type"] in ("value_error", "json_invalid"):
        return str(error["msg"]).removeprefix("Value error, ")
    shown = repr(error.get("input"))
    return f"{field}={shown if len(shown) <= 80 else shown[:77] + '...'} is wrong: {error['msg']}"
