"""The names that a notebook has when its exercises are reached, with real data behind them."""

from __future__ import annotations

import math
import threading
import time
import uuid
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pytest
from kafka import KafkaConsumer, KafkaProducer
from prometheus_client import generate_latest

from capstone_utils.course.exercises import check
from capstone_utils.course.materials import course_stream
from capstone_utils.daemon import scraped
from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.parity import parity_report
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC, FeatureSpec, Window
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.streaming.topics import create_topics
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.gate import GateReport
from capstone_utils.monitoring.prometheus.server import start_prometheus
from capstone_utils.serving.evaluation.baselines import stump_scores
from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.evaluation.slices import recall_by_scenario
from capstone_utils.serving.metrics import ScoringMetrics
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.serving.training.thresholds import best_threshold
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction
from tests.serving.small_model import small_model

Names = dict[str, object]

CANDIDATES = {
    "hour": lambda frame: frame["hour_of_day"],
    "merchant risk": lambda frame: frame["merchant_risk"],
    "against own custom": lambda frame: frame["amount_ratio"],
    "own mean": lambda frame: frame.groupby("user_id")["amount"].transform("mean"),
    "payments so far": lambda frame: frame.groupby("user_id").cumcount(),
    "rank at the shop": lambda frame: frame.groupby("merchant", observed=True)["amount"].rank(),
}


@pytest.fixture(autouse=True)
def passport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is solved in a test stays in it."""
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path))


@pytest.fixture(scope="session")
def notebook_1(broker: Broker) -> Names:
    """Notebook 1 with nine messages in a topic."""
    stream, topic = course_stream(), f"exercises-{uuid.uuid4().hex}"
    payments, where = stream.transactions, broker.bootstrap_servers
    create_topics(where, {topic: 4})
    few = list(transactions_of(payments[payments["user_id"].isin(payments["user_id"].unique()[:3])].head(9)))
    with KafkaProducer(bootstrap_servers=where) as producer:
        places = [producer.send(topic, key=each.key, value=each.to_json()).get(10) for each in few]
    placed = pd.DataFrame([(each.user_id, place.partition) for each, place in zip(few, places, strict=True)])
    fraud = (stream.truth["scenario"] != "legitimate").to_numpy()
    return {
        "card": payments[(payments["user_id"] == 1872) & fraud],
        "few": few,
        "payments": payments,
        "placed": placed.set_axis(["user_id", "partition"], axis=1),
        "settings": broker.settings,
        "where": where,
        "TOPIC": topic,
        "InvalidTransaction": InvalidTransaction,
        "KafkaConsumer": KafkaConsumer,
        "Transaction": Transaction,
        "time": time,
    }


@pytest.fixture(scope="session")
def notebook_2() -> Names:
    """Notebook 2 with the parity report of one lost payment, and a live run."""
    stream = course_stream()
    in_order, daily = stream.transactions, daily_tables(stream.transactions, stream.labels)
    mine = in_order[in_order["user_id"] == in_order["user_id"].iloc[0]]
    arrived, state = mine.drop(index=mine.index[10]), OnlineFeatures(SPEC, daily)
    rows = pd.DataFrame([state.update(payment) for payment in transactions_of(arrived)], columns=SPEC.names)
    true = offline_features(mine.reset_index(drop=True), SPEC, daily).drop(index=10).reset_index(drop=True)
    made = np.arange(1_000) / 1_000
    waits = np.random.default_rng(0).gamma(2, 0.01, (2, 1_000))
    return {
        "FeatureSpec": FeatureSpec,
        "Window": Window,
        "caught": parity_report(rows, true, SPEC.names),
        "daily": daily,
        "fresh": SimpleNamespace(moments=np.array([made, made + waits[0], made + waits.sum(axis=0)])),
        "in_order": in_order,
        "np": np,
        "stream": stream,
    }


@pytest.fixture(scope="session")
def notebook_3(tmp_path_factory: pytest.TempPathFactory):
    """Notebook 3 with small models, and its service."""
    world = course_stream()
    enriched = enriched_history(world.transactions, world.labels)
    split = split_by_time(enriched)
    full, five = (small_model(split.train, split.train["is_fraud"], names) for names in (SPEC.names, BRIEF_FEATURES))
    scores = full.booster.inplace_predict(split.validation[list(SPEC.names)].to_numpy(float))
    labels = split.validation["is_fraud"].to_numpy(bool)
    table = pd.DataFrame()
    for name, model in (("full set", full), ("brief's five", five)):
        test = model.booster.inplace_predict(split.test[list(model.features)].to_numpy(float))
        table[f"recall, {name}"] = recall_by_scenario(split.test, test >= 0.3, world.truth)["recall"]
    validation, test = stump_scores(split, SPEC.names)
    folder: Path = tmp_path_factory.mktemp("exercises")
    cache = Settings.from_environment().cache_dir
    settings = Settings(api_port=0, metrics_port=0, work_dir=folder, cache_dir=cache)
    registry = ModelRegistry(settings.models_dir)
    registry.publish(Models(full, five))
    with (
        start_service(settings, Scorer(registry.load(), {})) as service,
        httpx.Client(base_url=service.url, timeout=10) as caller,
    ):
        yield {
            "GOAL": 1_000,
            "caller": caller,
            "candidates": CANDIDATES,
            "enriched": enriched,
            "exported": registry.path() / "fraud_detection_model.json",
            "flags": scores >= 0.3,
            "full": SimpleNamespace(model=full),
            "honest": split.validation.loc[~labels, "unique_merchants_1h"].to_numpy(),
            "judged": {
                "best single rule": evaluate(split.test, test, best_threshold(split.validation["is_fraud"], validation))
            },
            "labels": labels,
            "live": SimpleNamespace(per_second=[1_190, 1_210, 1_000, 800, 1_400, 1_200, 1_180, 20]),
            "np": np,
            "scores": scores**2,  # no probabilities, so that a half is not the best threshold by luck
            "split": split,
            "table": table,
            "good": {**next(transactions_of(world.transactions.tail(1))).to_dict(), "user_id": 900_000},
        }


def _answers(metrics: ScoringMetrics, end: threading.Event) -> None:
    """A hundred verdicts a second, as the service counts them, one in twenty of them fraud."""
    generator = np.random.default_rng(0)
    while not end.wait(0.2):
        metrics.count_verdicts([Verdict(0.5, number == 0, False) for number in range(20)], generator.gamma(4, 0.01, 20))


@pytest.fixture(scope="session")
def notebook_4(tmp_path_factory: pytest.TempPathFactory):
    """Notebook 4 with a Prometheus that scrapes the metrics of a service on paper, and two reports of the gate."""
    metrics, end = ScoringMetrics("http"), threading.Event()
    page = generate_latest(metrics.registry).decode()
    metrics.count_verdicts([Verdict(0.5, number < 300, False) for number in range(1_000)], [0.02] * 1_000)
    counting = threading.Thread(target=_answers, args=(metrics, end), daemon=True)
    counting.start()
    cache, stream = Settings.from_environment().cache_dir, course_stream()
    settings = Settings(prometheus_port=0, work_dir=tmp_path_factory.mktemp("exercises"), cache_dir=cache)
    payments, generator = stream.transactions.tail(20_000), np.random.default_rng(0)
    honest = (stream.truth["scenario"] == "legitimate").tail(20_000)
    flagged = ~honest | (generator.random(20_000) < 0.001)
    sound = [Check("parity", 0.0, "", most=0), Check("gain", 0.2, "", least=0.0)]
    with (
        scraped(metrics.registry, "127.0.0.1") as address,
        start_prometheus(settings, {"fastapi_metrics": address}, "500ms", rules=[]) as prometheus,
    ):
        prometheus.wait_for(lambda: prometheus.value("sum(increase(prediction_requests_total[15s]))") > 100)
        yield {
            "RATE": 100,
            "page": page,
            "passed": GateReport(0.0, "champion", sound),
            "poisoned": GateReport(0.0, "champion", [*sound, Check("labels", math.nan, "", most=0.05)]),
            "prometheus": prometheus,
            "recent": pd.DataFrame({"score": generator.beta(1, 8, 2_000)}),
            "reference": pd.DataFrame({"score": generator.beta(1, 9, 2_000)}),
            "week": payments[["user_id"]].assign(honest=honest, flagged=flagged),
        }
    end.set()
    counting.join()


@pytest.fixture
def names(request: pytest.FixtureRequest, exercise) -> Names:
    """A copy of the names of the exercise's notebook."""
    return {**request.getfixturevalue(f"notebook_{exercise.id[0]}"), "check": check}
