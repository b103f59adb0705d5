"""Commands of releases: versions of the model, retraining, batch tables, and the watch."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from capstone_utils.errors import CapstoneError
from capstone_utils.settings import Settings

if TYPE_CHECKING:
    from capstone_utils.monitoring.release.history import History


REFUSED, ANOTHER_RUNS = 3, 4  # exit statuses of retrain


def models(options: argparse.Namespace) -> int:
    """List the versions of the model; choose one, or go back."""
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


def retrain(options: argparse.Namespace) -> int:
    """Retrain on a history; the exit status says what became of it."""
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


def nightly(options: argparse.Namespace) -> int:
    """Make the batch tables of the day after a history."""
    from capstone_utils.features.daily_tables import write_daily
    from capstone_utils.features.nightly import nightly_tables
    from capstone_utils.transaction import DAY_US

    settings = Settings.from_environment()
    history, now_us = _history(options, settings)
    write_daily(nightly_tables(history.transactions, history.reports, now_us // DAY_US), settings.daily_tables)
    print(f"batch tables in {settings.daily_tables}; a running service and worker take them up within seconds")
    return 0


def watch(options: argparse.Namespace) -> int:
    """Watch the champion's settled payments, once or again and again; then what is missing is said and awaited."""
    from kafka.errors import KafkaError

    settings = Settings.from_environment()
    if options.every is None:
        print(_watched(settings))
        return 0
    while True:
        try:
            print(_watched(settings), flush=True)
        except (CapstoneError, KafkaError, OSError) as reason:
            print(f"nothing watched: {reason}; again in {options.every:g} s", file=sys.stderr, flush=True)
        time.sleep(options.every)


def _watched(settings: Settings) -> str:
    """One look at the champion's settled payments: a sentence on what it found and did."""
    from capstone_utils.monitoring.release.history import last_midnight, settled_rows, topics_history
    from capstone_utils.monitoring.release.ledger import Ledger
    from capstone_utils.monitoring.release.watch import watch
    from capstone_utils.serving.model.registry import ModelRegistry

    registry = ModelRegistry(settings.models_dir)
    history = topics_history(settings)
    rows = settled_rows(history, registry.champion(), last_midnight(history))
    found = watch(registry, Ledger(settings.gate_dir), rows)
    fate = f"{registry.champion()} decides again" if found.rolled_back else f"{found.version} stays"
    return f"{len(rows):,} settled payments of {found.version}: {found.reason}; {fate}"


def _history(options: argparse.Namespace, settings: Settings) -> tuple[History, int]:
    """The history of a folder or, without one, of the topics; and the moment that is asked for, or its end."""
    from capstone_utils.monitoring.release.history import last_midnight, moment, read_history, topics_history

    if options.folder is not None:
        history = read_history(options.folder)
        return history, moment(history, options.as_of)
    history = topics_history(settings)
    return history, moment(history, options.as_of) if options.as_of else last_midnight(history)
