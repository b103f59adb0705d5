"""The compose file's system, started for real and held to what it promises; at the end all of it is removed again.

`.venv/bin/python -m docker.check` needs Docker with its compose plugin, and the images' registry. On a machine without
them, docker/without_registry.sh brings an engine and stand-ins for the images, and runs this.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import xgboost as xgb

from capstone_utils.features.daily_tables import daily_tables, read_daily, write_daily
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.producer import DeliveryFailed, produce
from capstone_utils.ingestion.streaming.topics import end_offsets
from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS
from capstone_utils.monitoring.prometheus.client import PrometheusClient
from capstone_utils.process import free_ports
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.worker.audit import audit
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import Transaction

PROJECT = "fraud-check"  # containers and volumes of its own: those of a system that is in use are left alone
SERVICES = {"kafka", "worker", "feedback", "watch", "service", "prometheus", "alertmanager", "pager", "grafana"}
INTERRUPTIONS = ("stop", "kill worker service", "kill", "down")
STREAM = SimulatorConfig(seed=4, customers=4000, days=3)  # 2,000 in half a day: all are known yet when sent again
SENT = 2000  # transactions to the broker around each interruption
RATE = 200.0  # of them a second
ASKED = 20  # transactions over HTTP before each interruption, and again after it
BEGAN = time.monotonic()


class System:
    """The containers of one run: free ports, a work directory, a key and a password of its own."""

    def __init__(self, work_dir: Path, without: list[str]) -> None:
        ports = free_ports("127.0.0.1", 0, 0, 0, 0, 0)
        key, grafana_login = secrets.token_hex(), ("admin", secrets.token_hex())
        self.settings = Settings(
            kafka_port=ports[0],
            api_port=ports[1],
            prometheus_port=ports[2],
            alertmanager_port=ports[4],
            work_dir=work_dir,
            api_key=key,
        )
        self.environment = os.environ | self.settings.to_environment()
        self.environment |= {"GRAFANA_PORT": str(ports[3]), "GRAFANA_PASSWORD": grafana_login[1]}
        self.environment["CAPSTONE_USER"] = f"{os.getuid()}:{os.getgid()}"
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{ports[1]}",
            timeout=30,
            headers={"X-API-Key": key, "Content-Type": "application/json"},
        )
        self.grafana = httpx.Client(base_url=f"http://127.0.0.1:{ports[3]}", timeout=30, auth=grafana_login)
        self.prometheus = PrometheusClient(f"http://127.0.0.1:{ports[2]}")
        self.services = sorted(SERVICES - {*without})
        self.classifiers: dict[str, Classifier] = {}

    def compose(self, command: str) -> str:
        """What `docker compose` prints for the command, on the real compose file with both profiles."""
        docker = f"docker compose --project-name {PROJECT} --file docker/compose.yaml --profile stream --profile http"
        call = [*docker.split(), *command.split()]
        done = subprocess.run(call, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"docker compose {command} failed\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}")
        return done.stdout

    def up(self) -> None:
        """Start what does not run; return when every container says that it is healthy."""
        self.compose(f"up --detach --wait --wait-timeout 400 --quiet-pull {' '.join(self.services)}")
        health = self.containers("Health")
        assert health == dict.fromkeys(self.services, "healthy"), health

    def containers(self, of_interest: str) -> dict[str, object]:
        """What `docker compose ps` says of each container under that heading."""
        lines = self.compose("ps --all --format json").splitlines()
        return {container["Service"]: container[of_interest] for container in map(json.loads, lines)}

    def put_model(self, rounds: int) -> str:
        """The version of another model of so many rounds, which lies where the containers look for theirs."""
        past = simulate(SimulatorConfig(seed=3, customers=200, days=14))
        daily = daily_tables(past.transactions, past.labels)
        features = offline_features(past.transactions, SPEC, daily)
        fraud = (past.truth["scenario"] != "legitimate").to_numpy(float)
        models = []
        for names in (SPEC.names, BRIEF_FEATURES):
            data = xgb.DMatrix(features[list(names)], label=fraud, feature_names=list(names))
            booster = xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, rounds)
            models.append(ThresholdedModel(booster, 0.3))
        write_daily(daily, self.settings.daily_tables)
        registry = ModelRegistry(self.settings.models_dir)
        registry.publish(Models(models[0], models[1]))
        classifier = Classifier(registry.load())
        self.classifiers[classifier.version] = classifier
        return classifier.version

    def send(self, transactions: list[Transaction], rate: float | None = None) -> None:
        """Transactions to the broker, from outside the containers."""
        report = produce(self.settings.bootstrap_servers, self.settings.transactions_topic, transactions, rate)
        print_step(f"the broker acknowledged {report.sent} transactions in {report.seconds:.1f} s")

    def arrived(self) -> int:
        """How many transactions the broker holds, those that came twice counted twice."""
        return sum(end_offsets(self.settings.bootstrap_servers, self.settings.transactions_topic).values())

    def ask(self, transactions: list[Transaction]) -> list[dict[str, Any]]:
        """The service's scores on them."""
        return [self.http.post("/score", content=each.to_json()).raise_for_status().json() for each in transactions]

    def check_scores(self, sent: int) -> None:
        """Each transaction of the topic has one score, the model's on it to the last bit."""
        daily = read_daily(self.settings.daily_tables)
        reports = []

        def sound() -> bool:
            reports.append(audit(self.settings, self.classifiers, daily))
            return reports[-1].sound and reports[-1].transactions == sent

        wait_until(sound, lambda: f"{sent} sent; {reports[-1]}")
        print_step(f"topic scores: {reports[-1]}")


def print_step(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:5.0f} s  {text}", flush=True)


def wait_until(condition: Callable[[], bool], otherwise: Callable[[], str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise())
        time.sleep(1)


def check(system: System) -> None:
    """Every promise in turn."""
    first = system.put_model(rounds=12)
    system.compose("--progress plain build")
    print_step("images built")
    system.up()
    print_step(f"all healthy: {', '.join(system.services)}")
    stream = list(transactions_of(simulate(STREAM).transactions))
    system.send(stream[:1])
    system.check_scores(1)
    check_http(system, stream[0], first)
    second = system.put_model(rounds=20)
    everywhere = f'count({{__name__=~".*model_info", version="{second}"}})'
    system.prometheus.wait_for(lambda: system.prometheus.value(everywhere) == 2, 60)
    assert system.http.get("/model").json()["version"] == second
    print_step(f"service and worker took up the model {second} in place of {first}, and Prometheus has seen it")
    check_pager(system)
    check_watch(system, first)
    if "grafana" in system.services:
        for name in DASHBOARDS:
            system.grafana.get(f"/api/dashboards/uid/{name}").raise_for_status()
        print_step(f"Grafana shows the dashboards {', '.join(DASHBOARDS)} to who knows the password")
    sent = 1
    for interruption in INTERRUPTIONS:
        check_interruption(system, interruption, stream[sent : sent + SENT])
        sent += SENT
        system.check_scores(sent)


def check_http(system: System, transaction: Transaction, version: str) -> None:
    """The service scores for those who have the key, with the model that was put there."""
    without_key = httpx.post(f"{system.http.base_url}/score", content=transaction.to_json())
    with_key = system.http.post("/score", content=transaction.to_json())
    assert (without_key.status_code, with_key.status_code) == (401, 200), (without_key.text, with_key.text)
    assert system.http.get("/model").json()["version"] == version
    print_step(f"/score: 401 without the key, 200 with it: {with_key.text[:80]}...")


def check_pager(system: System) -> None:
    """A worker that is down is paged by way of Prometheus and Alertmanager."""

    def pages(status: str) -> int:
        return system.compose("logs pager").count(f"WorkerDown {status}")

    wait_until(lambda: pages("firing") == pages("resolved"), lambda: "WorkerDown rings on", 300)  # since a slow start
    before, began = pages("firing"), time.monotonic()
    system.compose("stop worker")
    wait_until(lambda: pages("firing") > before, lambda: "the pager shows no WorkerDown")
    print_step(f"the pager shows WorkerDown {time.monotonic() - began:.0f} s after the worker was stopped")
    system.up()


def check_watch(system: System, former: str) -> None:
    """The watch reads the topics and may move the models' pointer."""
    system.compose("restart watch")  # it had looked before there was a payment, and looks each hour
    wait_until(lambda: " stays" in system.compose("logs watch"), lambda: "the watch says nothing")
    system.compose("exec watch python -m capstone_utils models rollback")
    assert ModelRegistry(system.settings.models_dir).champion() == former
    print_step("the watch: " + system.compose("logs --no-log-prefix watch").splitlines()[-1])


def check_interruption(system: System, interruption: str, transactions: list[Transaction]) -> None:
    """While transactions arrive, containers end and start again; a repeated request then gets the response it had."""
    responses, before = system.ask(transactions[:ASKED]), system.arrived()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(system.send, transactions, RATE)
        wait_until(lambda: system.arrived() > before, lambda: "nothing arrives at the broker")
        began = time.monotonic()
        system.compose(interruption)
        statuses = system.containers("ExitCode")
        print_step(f"docker compose {interruption}: {time.monotonic() - began:.0f} s; exit statuses {statuses}")
        if interruption == "stop":
            assert statuses["service"] == statuses["worker"] == 0, "they end in order when they are asked to"
        system.up()
        print_step("docker compose up: all healthy")
    try:
        sending.result()
    except DeliveryFailed as failure:  # the broker was away for too long; its message says what to do
        print_step(str(failure))
        system.send(transactions)
    repeated = system.ask(transactions[:ASKED])
    same = [{**response, "duplicate": True, "latency": None} for response in responses]
    assert [{**response, "latency": None} for response in repeated] == same
    print_step(f"/score: {ASKED} transactions asked again got the scores that they had")


def main() -> None:
    """Run the check; Ctrl-C and SIGTERM remove everything too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", action="append", default=[], help="a container whose image is not to be had")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="fraud-check-") as name:
        Path(name).chmod(0o755)  # the containers' user is another one
        system = System(Path(name), parser.parse_args().without)
        try:
            check(system)
        except BaseException:
            print(system.compose("logs --tail 30"))
            raise
        finally:
            system.compose("down --volumes --remove-orphans --rmi local")
    print_step("everything held, and is removed again")


if __name__ == "__main__":
    main()
