"""Schemas of the requests and responses, as OpenAPI shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from capstone_utils.transaction import CONTROL, MAX_AMOUNT_CENTS, MAX_ID, MAX_TEXT, SCHEMA_VERSION

MAX_AMOUNT = MAX_AMOUNT_CENTS / 100
Money = Annotated[float, Field(strict=True, ge=-MAX_AMOUNT, le=MAX_AMOUNT, allow_inf_nan=False)]
Count = Annotated[float, Field(strict=True, ge=1, le=1_000_000, multiple_of=1, allow_inf_nan=False)]
Prediction = Literal["Fraud", "Legit"]


class PredictRequest(BaseModel):
    """The brief's five features; windows of five minutes, this transaction included."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "amount": 500.50,
                "avg_transaction_amount": 300.25,
                "transaction_count": 5,
                "unique_locations": 2,
                "unique_devices": 1,
            }
        },
    )

    amount: Money = Field(description="this payment's amount")
    avg_transaction_amount: Money = Field(description="mean amount of the window")
    transaction_count: Count = Field(description="payments in the window")
    unique_locations: Count = Field(description="different locations in the window")
    unique_devices: Count = Field(description="different devices in the window")

    @model_validator(mode="after")
    def no_more_kinds_than_transactions(self) -> PredictRequest:
        """Refuse what no window can hold."""
        for name in ("unique_locations", "unique_devices"):
            value = getattr(self, name)
            if value > self.transaction_count:
                raise ValueError(f"{name}={value:.0f} is more than transaction_count={self.transaction_count:.0f}")
        return self


class PredictResponse(BaseModel):
    """The brief's response."""

    prediction: Prediction
    fraud_probability: float = Field(ge=0, le=1)
    latency: float = Field(ge=0, description="seconds in the service")


class ScoreResponse(PredictResponse):
    """The score of a raw transaction, with the features that were made for it on the fly."""

    transaction_id: int
    decided_by: Literal["model", "fallback"] = Field(description="fallback: only the anomaly score calls it fraud")
    reasons: list[str] | None = Field(description="what spoke loudest for fraud, when asked for with explain=true")
    features: dict[str, float | None] = Field(description="null: not known, such as the time since a first payment")
    duplicate: bool = Field(description="scored before: this is the earlier score, and nothing has changed")


class ProblemDetail(BaseModel):
    """The reason why a request got no prediction (RFC 9457): the field, what it held and what would be right."""

    type: str
    title: str
    status: int
    detail: str


class Health(BaseModel):
    """A sign of life."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """The parts of the service's next prediction."""

    ready: bool
    model_version: str
    spec_hash: str
    users: int = Field(description="users in the state")
    batch_tables: dict[str, str] = Field(description="the last day that each batch table was made for")


class ModelDescription(BaseModel):
    """The models in use, by what their manifest says."""

    version: str = Field(description="the beginning of the manifest's SHA-256; empty for models from no directory")
    features: dict[str, list[str]]
    thresholds: dict[str, float]
    fallback: bool = Field(description="whether an anomaly score decides with the model")
    training: dict[str, Any]
    metrics: dict[str, float]


IDENTIFIER = {"type": "integer", "minimum": 0, "maximum": MAX_ID}
TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": f"^[^{CONTROL}]+$"}
TRANSACTION_SCHEMA: dict[str, Any] = {
    "title": "Transaction",
    "description": "Further fields are passed over. `docs/operations.md` has each field with its reasons.",
    "type": "object",
    "additionalProperties": True,
    "required": ["transaction_id", "user_id", "amount", "timestamp", "location", "merchant", "device"],
    "properties": {
        "schema_version": {"type": "integer", "const": SCHEMA_VERSION},
        "transaction_id": IDENTIFIER
        | {"description": "one for each transaction of a user; a text such as a UUID is numbered by its sender"},
        "user_id": IDENTIFIER,
        "amount": {
            "type": "number",
            "minimum": -MAX_AMOUNT,
            "maximum": MAX_AMOUNT,
            "description": "at most 2 decimals, in the one currency of all transactions; refunds are negative",
        },
        "timestamp": {
            "description": "epoch seconds, or ISO 8601 with an offset; from 2000 to 2100",
            "anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}],
        },
        **{
            name: TEXT | {"description": "no control characters; compared code point by code point, as it was sent"}
            for name in ("location", "merchant", "device")
        },
    },
    "example": {
        "transaction_id": 1,
        "user_id": 7,
        "amount": 19.99,
        "timestamp": 1767225600.5,
        "location": "NY",
        "merchant": "Amazon",
        "device": "mobile",
    },
}


def json_body(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI's description of a body of this JSON schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
