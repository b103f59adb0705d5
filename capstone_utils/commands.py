"""The commands; each imports its own parts, so that `serve` and `worker` run where the course is not installed."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from capstone_utils.course.work_directory import join
from capstone_utils.errors import CapstoneError
from capstone_utils.settings import ROOT, Settings

SERVERS = (
    "broker",
    "prometheus",
    "serve",
    "worker",
    "wheel",
)  # they keep files in the work directory, which `run` clears
EXTRAS = "`pip install 'streaming-fraud-detection[course]'` brings everything, the extra `service` what serve needs."


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
    except ModuleNotFoundError as error:
        print(f"{error}: {options.command} needs it. {EXTRAS}", file=sys.stderr)
        return 1
    except CapstoneError as error:  # its message says what to do; a fault of the code keeps its traceback
        print(error, file=sys.stderr)
        return 1


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _broker(_: argparse.Namespace) -> int:
    from capstone_utils.ingestion.broker.broker import start_broker
    from capstone_utils.ingestion.streaming.topics import create_topics

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
    from capstone_utils.monitoring.prometheus.server import start_prometheus

    settings = Settings.from_environment()
    service, worker = (f"{settings.host}:{port}" for port in (settings.metrics_port, settings.worker_metrics_port))
    targets = {"fastapi_metrics": service, "stream_worker": worker}
    alertmanager = f"{settings.host}:{settings.alertmanager_port}"
    with start_prometheus(settings, targets, alertmanager=alertmanager) as prometheus:
        if not prometheus.started:
            print(f"A Prometheus of this work directory is running already at {prometheus.url}.")
            return 0
        print(
            f"Prometheus answers at {prometheus.url}; it scrapes the service at {service} and the worker at {worker};"
        )
        print("Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def _alertmanager(_: argparse.Namespace) -> int:
    from capstone_utils.monitoring.alertmanager.pager import Pager
    from capstone_utils.monitoring.alertmanager.server import start_alertmanager

    settings = Settings.from_environment()
    with Pager(settings.host, settings.pager_port, _show) as pager, start_alertmanager(settings, pager.url) as running:
        print(f"Alertmanager answers at {running.url}; what it sends is shown here; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def _pager(_: argparse.Namespace) -> int:
    from capstone_utils.monitoring.alertmanager.pager import Pager

    settings = Settings.from_environment()
    with Pager(settings.host, settings.pager_port, _show) as pager:
        print(f"The pager listens at {pager.url}; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def _show(page: object) -> None:
    print(page, flush=True)


def _wait_for_a_signal() -> None:
    sys.stdout.flush()
    signal.pause()


def _simulate(options: argparse.Namespace) -> int:
    from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate

    stream = simulate(SimulatorConfig(seed=options.seed, customers=options.customers, days=options.days))
    folder: Path = options.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("transactions", "labels", "truth"):
            getattr(stream, name).to_parquet(folder / f"{name}.parquet", index=False)
    except OSError as error:
        raise CapstoneError(f"{folder} cannot be written to ({error}); name another folder") from error
    fraud = int((stream.truth["scenario"] != "legitimate").sum())
    print(f"{len(stream.transactions):,} transactions, {fraud:,} of them fraud, in {folder}: transactions.parquet,")
    print("labels.parquet (as the bank gets them, later) and truth.parquet (for judging only).")
    return 0


def _dead_letters(options: argparse.Namespace) -> int:
    from capstone_utils.ingestion.streaming.dead_letter_replay import pending_dead_letters, replay

    settings = Settings.from_environment()
    if options.action == "replay":
        print(replay(settings))
        return 0
    number = 0
    for number, dead_letter in enumerate(pending_dead_letters(settings), start=1):
        if number <= options.most:
            print(dead_letter)
    print(f"{number:,} in {settings.dead_letter_topic}, {min(number, options.most):,} shown")
    return 0


def _models(options: argparse.Namespace) -> int:
    from capstone_utils.serving.model.registry import ModelRegistry

    registry = ModelRegistry(Settings.from_environment().models_dir)
    if options.action == "use":
        registry.promote(options.version)
    if options.action == "rollback":
        registry.rollback()
    for model in registry.versions():
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in model.metrics.items())
        print(
            f"{'*' if model.champion else ' '} {model.version}  {model.since:%Y-%m-%d %H:%M:%S} UTC  {metrics}".rstrip()
        )
    champion = registry.champion()
    if options.action != "list":
        print(f"{champion} is the champion; a running service and worker take it up within seconds")
    return 0


def _report(options: argparse.Namespace) -> int:
    from capstone_utils.course.authoring.report import fill_documents, keep_results, stale_documents

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


def _run(_: argparse.Namespace) -> int:
    from capstone_utils.course.authoring.runner import run_course

    return run_course()


def _test(_: argparse.Namespace) -> int:
    from capstone_utils.course.authoring.checks import run_checks

    return run_checks()


def _serve(_: argparse.Namespace) -> int:
    from capstone_utils.serving.service.main import main

    return main()


def _work(_: argparse.Namespace) -> int:
    from capstone_utils.serving.worker.main import main

    return main()


def _wheel(_: argparse.Namespace) -> int:
    from capstone_utils.course.labs.wheel import Wheel

    with Wheel(Settings.from_environment()) as wheel:
        wheel.spin()
        while not wheel.over and (line := sys.stdin.readline()):
            wheel.diagnose(line)
    return 0


def _refresh(_: argparse.Namespace) -> int:
    from capstone_utils.course.authoring.refresh import refresh_notebooks

    return refresh_notebooks()


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "test": _test,
    "broker": _broker,
    "prometheus": _prometheus,
    "alertmanager": _alertmanager,
    "pager": _pager,
    "serve": _serve,
    "worker": _work,
    "dead-letters": _dead_letters,
    "models": _models,
    "simulate": _simulate,
    "wheel": _wheel,
    "report": _report,
    "notebooks": _refresh,
}
