"""A retraining rehearsed on a simulated world: a new fraud begins, its labels arrive, and the gate decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.course.materials import COURSE
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.monitoring.gate.challenger import train_challenger
from capstone_utils.monitoring.gate.evidence import Evidence, gather
from capstone_utils.monitoring.release.retrain import retrain
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.transaction import DAY_US

CHAMPION_DAY, DRIFT_DAY, DAYS = 56, 57, 92


class Rehearsal(NamedTuple):
    """A simulated world, the reports of fraud in it as they arrived, and a champion from before the new fraud."""

    stream: Simulation
    reports: pd.DataFrame
    champion: Models
    spec: FeatureSpec = SPEC

    def evidence(self, day: int, reports: pd.DataFrame | None = None) -> Evidence:
        """What was known at the midnight that begins `day`, counted from 0; with other reports, if they are given."""
        known = self.reports if reports is None else reports
        return gather(self.stream.transactions, known, self.moment(day), spec=self.spec)

    def moment(self, day: int) -> int:
        """The midnight that begins `day`, microseconds since 1970 UTC."""
        return self.stream.config.start_us() + day * DAY_US


def rehearse(
    seed: int,
    config: SimulatorConfig = COURSE,
    drift_day: int | None = DRIFT_DAY,
    days: int = DAYS,
    spec: FeatureSpec = SPEC,
) -> Rehearsal:
    """A world of `seed` in which a new fraud begins on `drift_day`, and a champion trained the day before it."""
    stream = simulate(replace(config, seed=seed, days=days, drift_day=drift_day))
    reports = reports_of(stream)
    before = gather(stream.transactions, reports, stream.config.start_us() + CHAMPION_DAY * DAY_US, spec=spec)
    return Rehearsal(stream, reports, train_challenger(before), spec)


def without_new_fraud(world: Rehearsal) -> Rehearsal:
    """The same world, champion included, in which the new fraud never begins: the control."""
    steady = simulate(replace(world.stream.config, drift_day=None))
    return Rehearsal(steady, reports_of(steady), world.champion, world.spec)


def reports_of(stream: Simulation) -> pd.DataFrame:
    """The reports of fraud: transaction_id, is_fraud, known_at_us, and the kind that an investigator called it.

    Nobody sends a report about an honest payment; a dispute by mistake has no kind.
    """
    kinds = stream.truth["scenario"].astype(str).replace("legitimate", "")
    named = stream.labels.assign(kind=kinds.to_numpy())
    return named[named["is_fraud"]].reset_index(drop=True)


def rehearsed_retraining(seed: int, folder: Path) -> bool:
    """Retrain in a world of `seed` three weeks after a new fraud began, and later on poisoned labels.

    True when the first challenger was promoted and the second one refused. The reports lie in `folder`.
    """
    world = rehearse(seed)
    with TemporaryDirectory() as models:
        registry = ModelRegistry(Path(models))
        registry.publish(world.champion)
        reports = []
        for name, day, labels in (
            ("honest", DRIFT_DAY + 21, None),
            ("poisoned", DRIFT_DAY + 35, hidden(world.reports)),
        ):
            reports.append(retrain(folder / name, registry, world.evidence(day, labels)))
            print(f"{name} labels: {'promoted' if reports[-1].passed else 'refused'}, {reports[-1].reason}", flush=True)
        print(f"the reports are in {folder}")
    return [report.passed for report in reports] == [True, False]


def hidden(reports: pd.DataFrame, share: float = 0.3, seed: int = 0) -> pd.DataFrame:
    """The reports that are left when a share of them, drawn at random, is hidden."""
    return reports[np.random.default_rng(seed).random(len(reports)) >= share]
