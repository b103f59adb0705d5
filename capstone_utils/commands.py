"""What each command does, once `.venv` is there and everything can be imported."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from capstone_utils.course.authoring.checks import run_checks
from capstone_utils.course.authoring.refresh import refresh_notebooks
from capstone_utils.course.authoring.report import ReportError, fill_documents, keep_results, stale_documents
from capstone_utils.course.authoring.runner import run_course
from capstone_utils.course.work_directory import InUse, join
from capstone_utils.ingestion.broker.broker import BrokerError, start_broker
from capstone_utils.ingestion.broker.java import JavaNotFound
from capstone_utils.ingestion.broker.maven import JarError
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.ingestion.streaming.clients import NoBroker
from capstone_utils.ingestion.streaming.dead_letter_replay import AnotherReplay, replay, waiting_letters
from capstone_utils.ingestion.streaming.partition_log import SilentLog
from capstone_utils.ingestion.streaming.topics import TopicError, create_topics
from capstone_utils.monitoring.prometheus.binary import PrometheusNotFound
from capstone_utils.monitoring.prometheus.client import PrometheusError
from capstone_utils.monitoring.prometheus.server import start_prometheus
from capstone_utils.serving.service.main import main as serve
from capstone_utils.serving.worker.main import main as work
from capstone_utils.settings import ROOT, InvalidSetting, Settings

# What a user can mend: its message says how, and a traceback would only hide it.
EXPECTED = (
    AnotherReplay,
    BrokerError,
    FileExistsError,
    InUse,
    InvalidSetting,
    JarError,
    JavaNotFound,
    NoBroker,
    PrometheusError,
    PrometheusNotFound,
    ReportError,
    SilentLog,
    TopicError,
    ValueError,
)


def run_command(options: argparse.Namespace) -> int:
    """The exit status of the command in `options`: 0 when it went well, 1 when it failed, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, _stop)  # a `kill` ends us in order too, so that children stop
    try:
        if options.command in SERVERS:
            join(Settings.from_environment().work_dir)
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except EXPECTED as error:
        print(error, file=sys.stderr)
        return 1


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _broker(_: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    with start_broker(settings) as broker:
        if not broker.started:
            print(f"A broker of this work directory is running already at {broker.bootstrap_servers}.")
            return 0
        create_topics(broker.bootstrap_servers, {settings.transactions_topic: settings.partitions})
        print(f"Kafka answers at {broker.bootstrap_servers}, topic {settings.transactions_topic}; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def _prometheus(_: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    target = f"{settings.host}:{settings.metrics_port}"
    with start_prometheus(settings, {"fastapi_metrics": target}) as prometheus:
        if not prometheus.started:
            print(f"A Prometheus of this work directory is running already at {prometheus.url}.")
            return 0
        print(f"Prometheus answers at {prometheus.url} and scrapes {target}; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def _wait_for_a_signal() -> None:
    sys.stdout.flush()
    signal.pause()


def _simulate(options: argparse.Namespace) -> int:
    stream = simulate(SimulatorConfig(seed=options.seed, customers=options.customers, days=options.days))
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("transactions", "labels", "truth"):
        getattr(stream, name).to_parquet(folder / f"{name}.parquet", index=False)
    fraud = int((stream.truth["scenario"] != "legitimate").sum())
    print(f"{len(stream.transactions):,} transactions, {fraud:,} of them fraud, in {folder}: transactions.parquet,")
    print("labels.parquet (as the bank gets them, later) and truth.parquet (for judging only).")
    return 0


def _dead_letters(options: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    if options.action == "replay":
        print(replay(settings))
        return 0
    number = 0
    for number, letter in enumerate(waiting_letters(settings), start=1):
        if number <= options.most:
            print(letter)
    print(f"{number:,} in {settings.dead_letter_topic}, {min(number, options.most):,} shown")
    return 0


def _report(options: argparse.Namespace) -> int:
    if options.check:
        stale = stale_documents()
        for path in stale:
            print(f"{path.relative_to(ROOT)} says something else than docs/results.json; run: report", file=sys.stderr)
        return 1 if stale else 0
    if options.source:
        keep_results(options.source)
    for path in fill_documents():
        print(f"filled {path.relative_to(ROOT)}")
    return 0


SERVERS = ("broker", "prometheus", "serve", "worker")  # they work in the work directory, which `run` clears
COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": lambda _: run_course(),
    "test": lambda _: run_checks(),
    "broker": _broker,
    "prometheus": _prometheus,
    "serve": lambda _: serve(),
    "worker": lambda _: work(),
    "dead-letters": _dead_letters,
    "simulate": _simulate,
    "report": _report,
    "notebooks": lambda _: refresh_notebooks(),
}
