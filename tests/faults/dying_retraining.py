"""Retrains, and ends itself as a power cut would before each line of what follows the gate's report.

    dying_retraining.py FOLDER [training]

With `training` it ends itself once, while the gate trains a challenger. Otherwise:
For every line a forked child retrains, with a challenger of its own, and kills itself there. This process then looks at
what the child left, and retrains in order. At the end it prints a line of JSON: kills, and every fault.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from capstone_utils.monitoring.gate import golden
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import GateReport
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.monitoring.release import ledger as ledger_module
from capstone_utils.monitoring.release import retrain as retrain_module
from capstone_utils.monitoring.release.ledger import Ledger
from capstone_utils.monitoring.release.retrain import FROZEN, retrain
from capstone_utils.serving.model.registry import ModelRegistry
from tests.faults.dying_publisher import killed

FILES = [module.__file__ for module in (retrain_module, ledger_module, golden)]  # the registry has its own test


def payments(day: int) -> Evidence:
    """Evidence of a few golden and other users up to a day."""
    frame = pd.DataFrame({"transaction_id": np.arange(1, 1 + 50 * day), "amount": 1.0, "kind": ""})
    frame["user_id"] = 1 + frame["transaction_id"] % 40
    frame["timestamp"] = np.linspace(0, day * 86_400, len(frame), endpoint=False)
    frame["is_fraud"] = (frame["transaction_id"] % 17 == 0).astype(float)
    reports = pd.DataFrame({"transaction_id": [17], "is_fraud": [True], "known_at_us": [1]})
    return Evidence(frame, frame, reports, day * 86_400.0)


def main(folder: Path) -> None:
    """Kill everywhere; print what came of it."""
    registry = ModelRegistry(folder / "models")
    models = registry.load()
    faults: list[str] = []
    outcomes = {"old": 0, "new": 0}

    def work(number: int) -> None:
        challenger = replace(models, score=models.score._replace(threshold=number / 1e6))
        table = pd.DataFrame(
            [[0.1] * 5], index=["recall"], columns=["challenger", "champion", "difference", "low", "high"]
        )
        report = GateReport(number * 86_400.0, registry.champion(), [], "", table)
        retrain(folder / "gate", registry, payments(8 + number % 9), None, lambda *_: (report, challenger))

    retrain_module.write_report = lambda report, place: place.mkdir(parents=True, exist_ok=True)  # drawn elsewhere
    number = line = 1
    while True:
        before = registry.champion()
        Ledger(folder / "gate").path.unlink(missing_ok=True)  # each run reads it line by line: it must not grow
        if not killed(lambda number=number: work(number), line, FILES, None):
            break
        try:
            outcomes["new" if registry.load().version != before else "old"] += 1
            FrozenLabels(folder / "gate" / FROZEN)
            entries = len(Ledger(folder / "gate").entries())
            number += 1
            work(number)
            if registry.load().score.threshold != number / 1e6:
                faults.append(f"line {line}: the next challenger does not decide")
            if len(Ledger(folder / "gate").entries()) != entries + 1:
                faults.append(f"line {line}: the next run left no line")
            if left := [*(folder / "gate").glob(".*"), *registry.directory.glob(".unfinished")]:
                faults.append(f"line {line}: {left} is left")
        except Exception as error:
            faults.append(f"line {line}: {error!r}")
        number, line = number + 1, line + 1
    print(json.dumps(outcomes | {"lines": line - 1, "faults": faults}))


def die_training(folder: Path) -> None:
    """Retrain, and be killed before there is a report."""
    models = ModelRegistry(folder / "models")
    retrain(folder / "gate", models, payments(9), weigh=lambda *_: os.kill(os.getpid(), signal.SIGKILL))


if __name__ == "__main__":
    (die_training if "training" in sys.argv else main)(Path(sys.argv[1]))
