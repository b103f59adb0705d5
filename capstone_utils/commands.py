"""The commands; each imports its own parts, so that `serve` and `worker` run where the course is not installed."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from capstone_utils.course.work_directory import join
from capstone_utils.errors import CapstoneError
from capstone_utils.settings import ROOT, Settings

if TYPE_CHECKING:
    from capstone_utils.monitoring.release.history import History

SERVERS = ("broker", "prometheus", "serve", "worker", "feedback", "wheel")  # `run` clears what they keep files in
EXTRAS = "`pip install 'streaming-fraud-detection[course]'` brings everything, the extra `service` what serve needs."
REFUSED, ANOTHER_RUNS = 3, 4  # exit statuses of retrain


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
    ports = settings.metrics_port, settings.worker_metrics_port, settings.feedback_metrics_port
    service, worker, feedback = (f"{settings.host}:{port}" for port in ports)
    targets = {"fastapi_metrics": service, "stream_worker": worker, "feedback": feedback}
    alertmanager = f"{settings.host}:{settings.alertmanager_port}"
    with start_prometheus(settings, targets, alertmanager=alertmanager) as prometheus:
        if not prometheus.started:
            print(f"A Prometheus of this work directory is running already at {prometheus.url}.")
            return 0
        print(f"Prometheus answers at {prometheus.url}; it scrapes the service at {service}, the worker at {worker}")
        print(f"and feedback at {feedback}; Ctrl-C stops it.")
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
        from capstone_utils.monitoring.release.ledger import Ledger
        from capstone_utils.monitoring.release.rollback import roll_back

        roll_back(registry, Ledger(Settings.from_environment().gate_dir), "by hand")
    for model in registry.versions():
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in model.metrics.items())
        print(
            f"{'*' if model.champion else ' '} {model.version}  {model.since:%Y-%m-%d %H:%M:%S} UTC  {metrics}".rstrip()
        )
    champion = registry.champion()
    if options.action != "list":
        print(f"{champion} is the champion; a running service and worker take it up within seconds")
    return 0


def _retrain(options: argparse.Namespace) -> int:
    if options.rehearsal is not None:
        from capstone_utils.course.rehearsal import rehearsed_retraining

        return 0 if rehearsed_retraining(options.rehearsal, Settings.from_environment().gate_dir) else 1
    from capstone_utils.monitoring.gate.evidence import gather
    from capstone_utils.monitoring.release.retrain import AnotherRuns, reports_folder, retrain
    from capstone_utils.monitoring.release.shadow import shadow_checks
    from capstone_utils.serving.model.registry import ModelRegistry

    settings = Settings.from_environment()
    history, now_us = _history(options, settings)
    evidence = gather(history.transactions, history.reports, now_us, history.served)
    shadow = shadow_checks(settings, options.shadow) if options.shadow else None
    try:
        report = retrain(settings.gate_dir, ModelRegistry(settings.models_dir), evidence, shadow)
    except AnotherRuns as error:
        print(error, file=sys.stderr)
        return ANOTHER_RUNS
    print(f"{report.challenger or 'the challenger'} was {'promoted' if report.passed else 'refused'}: {report.reason}")
    print(f"the report is in {reports_folder(settings.gate_dir, evidence.now)}")
    return 0 if report.passed else REFUSED


def _nightly(options: argparse.Namespace) -> int:
    from capstone_utils.features.daily_tables import write_daily
    from capstone_utils.features.nightly import nightly_tables
    from capstone_utils.transaction import DAY_US

    settings = Settings.from_environment()
    history, now_us = _history(options, settings)
    write_daily(nightly_tables(history.transactions, history.reports, now_us // DAY_US), settings.daily_tables)
    print(f"batch tables in {settings.daily_tables}; a running service and worker take them up within seconds")
    return 0


def _history(options: argparse.Namespace, settings: Settings) -> tuple[History, int]:
    """The history of a folder or, without one, of the topics; and the moment that is asked for, or its end."""
    from capstone_utils.monitoring.release.history import last_midnight, moment, read_history, topics_history

    if options.folder is not None:
        history = read_history(options.folder)
        return history, moment(history, options.as_of)
    history = topics_history(settings)
    return history, moment(history, options.as_of) if options.as_of else last_midnight(history)


def _watch(options: argparse.Namespace) -> int:
    from capstone_utils.monitoring.release.history import last_midnight, settled_rows, topics_history
    from capstone_utils.monitoring.release.ledger import Ledger
    from capstone_utils.monitoring.release.watch import watch
    from capstone_utils.serving.model.registry import ModelRegistry

    settings = Settings.from_environment()
    registry = ModelRegistry(settings.models_dir)
    while True:
        history = topics_history(settings)
        rows = settled_rows(history, registry.champion(), last_midnight(history))
        found = watch(registry, Ledger(settings.gate_dir), rows)
        fate = f"{registry.champion()} decides again" if found.rolled_back else f"{found.version} stays"
        print(f"{len(rows):,} settled payments of {found.version}: {found.reason}; {fate}", flush=True)
        if options.every is None:
            return 0
        time.sleep(options.every)


def _project(options: argparse.Namespace) -> int:
    from capstone_utils.course.capstone.check import check_project
    from capstone_utils.course.capstone.worlds import FULL, SMALL

    report = check_project(options.file, SMALL if options.small else FULL)
    print(f"{report.path} has the report")
    if report.refused_at:
        print(f"refused at: {report.refused_at}", file=sys.stderr)
    return 1 if report.refused_at else 0


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


def _feedback(_: argparse.Namespace) -> int:
    from capstone_utils.monitoring.feedback.main import main

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
    "feedback": _feedback,
    "dead-letters": _dead_letters,
    "models": _models,
    "simulate": _simulate,
    "retrain": _retrain,
    "nightly": _nightly,
    "watch": _watch,
    "wheel": _wheel,
    "project": _project,
    "report": _report,
    "notebooks": _refresh,
}
