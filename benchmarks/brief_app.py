"""The service as the brief sketches it: a contender, no example.

It builds a frame per request and calls the model twice.
"""

from __future__ import annotations

import sys
import time

import pandas as pd
import uvicorn
import xgboost as xgb
from fastapi import FastAPI
from pydantic import BaseModel


class Features(BaseModel):
    """The brief's five features."""

    amount: float
    avg_transaction_amount: float
    transaction_count: int
    unique_locations: int
    unique_devices: int


def create_app(model_file: str) -> FastAPI:
    """The service around an XGBClassifier."""
    model = xgb.XGBClassifier()
    model.load_model(model_file)
    app = FastAPI()

    @app.post("/predict/")
    def predict(features: Features) -> dict[str, object]:
        began = time.time()
        frame = pd.DataFrame([features.model_dump()])
        prediction = model.predict(frame)[0]
        probability = model.predict_proba(frame)[0][1]
        return {
            "prediction": "Fraud" if prediction == 1 else "Legit",
            "fraud_probability": float(probability),
            "latency": time.time() - began,
        }

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning", access_log=False)
