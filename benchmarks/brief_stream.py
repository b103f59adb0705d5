"""The stream as the brief sketches it: a contender, no example.

It keeps one window over all users, and builds a frame and flushes for each message.
"""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import xgboost as xgb
from kafka import KafkaConsumer, KafkaProducer

from capstone_utils.settings import Settings


def main(model_file: str) -> None:
    """Score all messages, without an end."""
    settings = Settings.from_environment()
    model = xgb.XGBClassifier()
    model.load_model(model_file)
    consumer = KafkaConsumer(
        settings.transactions_topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.worker_group,
        auto_offset_reset="earliest",
        value_deserializer=json.loads,
    )
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, value_serializer=lambda d: json.dumps(d).encode()
    )
    window: list[dict[str, object]] = []
    print("works", flush=True)
    for message in consumer:
        transaction = message.value
        window = [each for each in window if time.time() - each["seen"] < 300]  # type: ignore[operator]
        window.append(transaction | {"seen": time.time()})
        recent = pd.DataFrame([each for each in window if each["user_id"] == transaction["user_id"]])
        features = pd.DataFrame(
            [
                {
                    "amount": transaction["amount"],
                    "avg_transaction_amount": recent["amount"].mean(),
                    "transaction_count": len(recent),
                    "unique_locations": recent["location"].nunique(),
                    "unique_devices": recent["device"].nunique(),
                }
            ]
        )
        transaction["prediction"] = int(model.predict(features)[0])
        transaction["fraud_probability"] = float(model.predict_proba(features)[0][1])
        producer.send(settings.scores_topic, transaction)
        producer.flush()


if __name__ == "__main__":
    main(sys.argv[1])
