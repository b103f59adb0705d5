"""One retraining from the evidence to the pointer: weigh, report, publish, shadow, promote; or refuse, and say why."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from capstone_utils.errors import CapstoneError
from capstone_utils.files import Held, only_one
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import GateReport, weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.monitoring.release.ledger import FAILED, PROMOTED, REFUSED, Ledger
from capstone_utils.monitoring.release.report import write_report
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models

LOG = logging.getLogger(__name__)
LOCK, FROZEN = "retrain.lock", "frozen_labels.npz"
NEW_REPORTS = 100  # of fraud, since those that a version which was rolled back had learnt from

Weigh = Callable[[Evidence, Models, FrozenLabels, Sequence[Check]], tuple[GateReport, Models | None]]
Shadow = Callable[[str], Sequence[Check]]  # the checks of a published version, scored in shadow


class AnotherRuns(CapstoneError):
    """A retraining that finds another one at work."""


def retrain(
    folder: Path, registry: ModelRegistry, evidence: Evidence, shadow: Shadow | None = None, weigh: Weigh = weigh
) -> GateReport:
    """The report; when it passed, its challenger is the champion from here on.

    `folder` keeps the ledger, the frozen labels, the lock and the reports. A challenger that passed is published, asked
    in `shadow`, and only then promoted: the pointer moves last. Killed before that, the champion is the one it was.

    Raises:
        AnotherRuns: when another retraining holds the lock.
        InvalidModel: when there is no champion to compare with.
        OSError: when something cannot be written, as on a full disk; the champion is the one it was.
    """
    ledger = Ledger(folder)
    with _alone(folder / LOCK):
        try:
            return _retrain(folder, registry, evidence, ledger, shadow, weigh)
        except Exception as error:
            try:
                ledger.add(FAILED, "", f"{type(error).__name__}: {error}")
            except OSError as full:
                LOG.error("the ledger cannot be written: %s", full)
            raise


def _retrain(
    folder: Path, registry: ModelRegistry, evidence: Evidence, ledger: Ledger, shadow: Shadow | None, weigh: Weigh
) -> GateReport:
    frozen = FrozenLabels(folder / FROZEN)
    report, challenger = weigh(evidence, registry.load(), frozen, new_reports(ledger, evidence))
    version = ""
    if challenger is not None:  # the labels were sound
        frozen.freeze(evidence)
    if challenger is not None and report.passed:
        version = registry.publish(challenger, promote=False)
        report = replace(report, challenger=version, checks=[*report.checks, *(shadow(version) if shadow else ())])
    write_report(report, reports_folder(folder, evidence.now))
    if not report.passed:
        ledger.add(REFUSED, version, report.reason)
        return report
    registry.promote(version)
    ledger.add(PROMOTED, version, report.reason)
    return report


def new_reports(ledger: Ledger, evidence: Evidence) -> list[Check]:
    """After a rollback, the check that there is something to learn which the refused version did not know."""
    reports = evidence.reports.loc[evidence.reports["is_fraud"].astype(bool), "known_at_us"]
    return [
        Check(
            "new_reports",
            float((reports > entry.reports_until_us).sum()),
            f"reports of fraud since those that {entry.version}, which was rolled back, had learnt from",
            NEW_REPORTS,
        )
        for entry in ledger.rolled_back()[-1:]
    ]


def reports_folder(folder: Path, now: float) -> Path:
    """The folder of the report of a retraining at `now`, epoch seconds."""
    return folder / "reports" / f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d-%H%M}"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock, or say who does."""
    try:
        with only_one(lock, wait=False):
            lock.write_text(f"process {os.getpid()} since {time.strftime('%Y-%m-%d %H:%M:%S')}")
            yield
    except Held:
        raise AnotherRuns(f"another retraining is at work: {lock.read_text()}; {lock} is its lock") from None
