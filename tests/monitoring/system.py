"""A small bank for real: broker, service, worker and feedback process, payments through both doors, and labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from sys import executable

import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from capstone_utils.features.daily_tables import daily_tables, write_daily
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.reported_labels import reports
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.producer import replay
from capstone_utils.ingestion.streaming.topics import create_topics, ensure_labels_topic, ensure_scores_topic
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.prometheus.rules import RULE_FILES, faster
from capstone_utils.monitoring.prometheus.server import Prometheus, start_prometheus
from capstone_utils.monitoring.release.ledger import REFUSED, Ledger
from capstone_utils.monitoring.release.report import write_report
from capstone_utils.process import Child, free_ports
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.reference import SCORE, make_reference
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import DAY_US, Transaction
from tests.monitoring.release.conftest import passed_report
from tests.serving.small_model import small_model

PORTS = ("api_port", "metrics_port", "worker_metrics_port", "feedback_metrics_port", "prometheus_port")
MODULES = ("serving.service.main", "serving.worker.main", "monitoring.feedback.main")
STREAM = SimulatorConfig(seed=3, customers=100, days=20)
FACTOR = 30


@dataclass(frozen=True)
class System:
    """The processes' settings, the Prometheus that scrapes them, and when it began to."""

    settings: Settings
    prometheus: Prometheus
    began: float
    ended: float

    def families(self) -> dict[str, set[str]]:
        """The families that each job emits now, by job; comments of a page count, too: a family may have no sample."""
        return {
            target.job: {
                family.name
                for family in text_string_to_metric_families(httpx.get(f"http://{target.address}/metrics").text)
            }
            for target in self.prometheus.targets()
        }


@contextmanager
def running_system(broker: Settings, folder: Path) -> Iterator[System]:
    """The system after twenty days of payments and labels; it goes on until the block ends."""
    settings = _settings(broker, folder)
    stream = simulate(STREAM)
    _publish(settings, stream)
    create_topics(settings.bootstrap_servers, {settings.transactions_topic: settings.partitions})
    ensure_scores_topic(settings)
    ensure_labels_topic(settings)
    targets = {
        "fastapi_metrics": f"127.0.0.1:{settings.metrics_port}",
        "stream_worker": f"127.0.0.1:{settings.worker_metrics_port}",
        "feedback": f"127.0.0.1:{settings.feedback_metrics_port}",
    }
    rules = [faster(file, FACTOR, folder / file.name) for file in RULE_FILES]
    with ExitStack() as parts:
        for module in MODULES:
            command = [executable, "-m", f"capstone_utils.{module}"]
            child = Child(command, folder / f"{module}.log", ROOT, settings.to_environment())
            parts.callback(child.stop)
        prometheus = parts.enter_context(start_prometheus(settings, targets, "500ms", rules))
        prometheus.wait_for(lambda: {target.health for target in prometheus.targets()} == {"up"}, 90)
        began = time.time()
        days = groupby(transactions_of(stream.transactions), lambda each: each.event_time_us // DAY_US)
        _refuse_a_challenger(settings)
        played = [list(day) for _, day in days]
        _play(settings, played[:-1])
        replay(settings, [], reports(stream.transactions, stream.labels))
        settled = 'max(count_over_time(live_quality_ratio{payments="settled"}[10s]))'
        prometheus.wait_for(lambda: prometheus.value(settled) >= 4, 60)  # a picture needs more than the last moment
        prometheus.wait_for(lambda: prometheus.value("sum(feature_parity_rows_total)") > 0, 60)
        hour_before = "sum(rate(fraud_probability_count[120s] offset 10s))"  # of the panel of score drift
        prometheus.wait_for(lambda: prometheus.value(hour_before) > 0, 60)
        _play(settings, played[-1:])  # so that it has a present, too
        now = hour_before.replace("[120s] offset 10s", "[10s]")
        prometheus.wait_for(lambda: prometheus.value(now) > 0, 60)
        yield System(settings, prometheus, began, time.time())


def _settings(broker: Settings, folder: Path) -> Settings:
    topics = {
        f"{name}_topic": f"{name}-{folder.name}"
        for name in ("transactions", "scores", "labels", "shadow", "dead_letter")
    }
    ports = dict(zip(PORTS, free_ports("127.0.0.1", *len(PORTS) * [0]), strict=True))
    return replace(broker, work_dir=folder, publish_scores=True, worker_group=folder.name, **topics, **ports)


def _publish(settings: Settings, stream) -> None:
    """A model with a reference of the stream's first two weeks, and its batch tables."""
    daily = daily_tables(stream.transactions, stream.labels)
    features = offline_features(stream.transactions, SPEC, daily)
    fraud = (stream.truth["scenario"] != "legitimate").to_numpy(float)
    score, predict = (small_model(features, fraud, names) for names in (SPEC.names, BRIEF_FEATURES))
    rows = features[list(SPEC.names)].to_numpy(float)
    scores = score.booster.inplace_predict(rows).astype(float)
    times = np.array([each.event_time_us for each in transactions_of(stream.transactions)])
    early = times < times[0] + 14 * DAY_US
    users, alerts = stream.transactions["user_id"].to_numpy(), scores >= score.threshold
    columns = [*SPEC.names, SCORE]
    known = np.column_stack([rows, scores])[early]
    reference = make_reference(columns, times[early], known, users[early], alerts[early], fraud[early] == 1)
    ModelRegistry(settings.models_dir).publish(Models(score, predict, reference=reference))
    write_daily(daily, settings.daily_tables)


def _play(settings: Settings, days: list[list[Transaction]]) -> None:
    """Each day's payments: users of even numbers through the topic, the others over HTTP."""
    json = {"content-type": "application/json"}
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.api_port}", timeout=30, headers=json) as http:
        with Producer(settings.bootstrap_servers) as producer:
            for day in days:
                for each in day:
                    if each.user_id % 2 == 0:
                        producer.send(settings.transactions_topic, each.to_json(), each.key)
                    else:
                        http.post("/score", content=each.to_json()).raise_for_status()
                producer.flush()
            producer.send(settings.transactions_topic, b"no payment", b"7")
            producer.flush()
        http.post("/score", content=b"no payment")
        http.get("/nowhere")


def _refuse_a_challenger(settings: Settings) -> None:
    report = passed_report()
    report = replace(report, checks=[*report.checks, Check("money", -1.0, "gain in money", least=0.0)])
    write_report(report, settings.gate_dir / "reports" / "1")
    Ledger(settings.gate_dir).add(REFUSED, "", report.reason)
