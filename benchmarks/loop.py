"""The loop in simulated worlds: days until a new fraud is seen and learnt, and what verdicts were worth meanwhile.

Day by day the champion scores, labels arrive, the drift watch looks; from its alarm on a challenger is trained every
few days until one passes the gate, and every week afterwards. F1 and recall are by the simulator's truth. Three acts: a
fraud of a new kind begins; thieves of the known kinds adapt; and the first again, with the kind of shop in the spec.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score
from tqdm import tqdm

from benchmarks.feedback import SCORES, rates
from benchmarks.kept import keep
from capstone_utils.course.demos.closed_loop import days_of
from capstone_utils.course.materials import COURSE
from capstone_utils.course.rehearsal import CHAMPION_DAY, Rehearsal, rehearse
from capstone_utils.course.results import Figure
from capstone_utils.features.spec import SPEC, FeatureSpec, State, Window
from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.ingestion.simulation.simulator import Drift
from capstone_utils.monitoring.drift.reports import Report
from capstone_utils.monitoring.drift.watch import MISSED, DriftWatch
from capstone_utils.monitoring.gate.gate import weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.monitoring.gate.paired import verdicts
from capstone_utils.serving.model.store import Models
from capstone_utils.transaction import DAY_SECONDS, DAY_US, category_of

SEEDS = tuple(range(3002, 3012))  # 3001 was looked at while the gate was made
DRIFT_DAY, DAYS = CHAMPION_DAY + 14, CHAMPION_DAY + 14 + 42
RETRY_DAYS, WEEK = 3, 7
HOUR_US = DAY_US // 24
KEPT = "loop"
NEW: Drift = "cash_out"
WITH_CATEGORY = FeatureSpec(
    (
        *SPEC.features,
        Window("same_category_count_1h", "same", "category", 3600),
        Window("same_category_count_24h", "same", "category", DAY_SECONDS),
        State("is_new_category", "first_seen", "category"),
    )
)


class Act(NamedTuple):
    """A drift and a spec, tried in the first `worlds` (None: in all); its figures' names begin with `prefix`."""

    prefix: str
    drift: Drift
    spec: FeatureSpec
    worlds: int | None


ACTS = (Act("", NEW, SPEC, None), Act("adapt_", "adapt", SPEC, 4), Act("category_", NEW, WITH_CATEGORY, None))


class LoopedWorld:
    """One world on its way through the loop."""

    def __init__(self, world: Rehearsal, folder: Path) -> None:
        self.world, self.champion = world, world.champion
        evidence = world.evidence(world.stream.config.days)
        truth = world.stream.truth.set_index("transaction_id")["scenario"].astype(str)
        self.frame = days_of(evidence)
        self.scenario = truth.reindex(self.frame["transaction_id"]).to_numpy()
        self.alerts = np.zeros(len(self.frame), dtype=bool)
        self.frozen = FrozenLabels(folder / "frozen.npz")
        self.watch = watch_of(self.champion)
        self.alarms: list[float] = []  # days from the drift
        self.promotions: list[int] = []
        self.refused = 0

    def run(self) -> None:
        """All days; the champion changes when the gate lets a challenger pass."""
        due: int | None = None
        for day in range(CHAMPION_DAY, self.world.stream.config.days):
            self._score(day)
            rang = self._rings(day)
            if rang:
                self.alarms += [(at_us - self.world.moment(DRIFT_DAY)) / DAY_US for at_us in rang]
                due = due or day + 1
            if due == day + 1:
                due += WEEK if self._retrain(day + 1) else RETRY_DAYS

    def f1(self, first_day: int, days: int = WEEK) -> float:
        """F1 by the truth, on so many days from a day counted from the drift."""
        rows = self._rows(first_day, days)
        return float(f1_score(self.scenario[rows] != "legitimate", self.alerts[rows]))

    def recall_of_new(self, first_day: int, days: int = WEEK) -> float:
        """Recall of the new fraud on so many days from a day counted from the drift."""
        rows = self._rows(first_day, days) & (self.scenario == NEW)
        return float(self.alerts[rows].mean()) if rows.any() else float("nan")

    def _rows(self, first_day: int, days: int) -> Booleans:
        day = self.frame["day"].to_numpy() - DRIFT_DAY
        rows: Booleans = (day >= first_day) & (day < first_day + days)
        return rows

    def _score(self, day: int) -> None:
        rows = self.frame["day"].to_numpy() == day
        now = verdicts(self.champion, self.frame[rows])
        self.alerts[rows] = now.alerts
        names = list(self.world.spec.names)
        features = np.column_stack([self.frame.loc[rows, names].to_numpy(float), now.probabilities])
        times_us = (self.frame.loc[rows, "timestamp"].to_numpy() * 1e6).astype(np.int64)
        self.watch.add_scores(times_us, self.frame.loc[rows, "user_id"].to_numpy(), features, now.alerts)
        for place in np.flatnonzero(rows & (self.frame["is_fraud"].to_numpy() == 1)):
            self._add_report(place, not self.alerts[place])

    def _add_report(self, place: int, missed: bool | None) -> None:
        row = self.frame.iloc[place]
        known_at_us = int(row["label_known_at"] * 1e6)
        self.watch.add_report(
            Report(known_at_us, int(row["transaction_id"]), missed, category_of(str(row["merchant"])))
        )

    def _rings(self, day: int) -> list[int]:
        """The moments at which the watch on missed frauds begins to ring; the clock moves hour by hour."""
        moment = self.world.moment(day)
        alarms = [alarm for hour in range(1, 25) for alarm in self.watch.advance(moment + hour * HOUR_US)]
        return [alarm.at_us for alarm in alarms if alarm.detector == MISSED]

    def _retrain(self, day: int) -> bool:
        evidence = self.world.evidence(day)
        report, challenger = weigh(evidence, self.champion, self.frozen, spec=self.world.spec)
        if challenger is not None:
            self.frozen.freeze(evidence)
        if challenger is None or not report.passed:
            self.refused += 1
            return False
        self.champion, self.watch = challenger, watch_of(challenger)
        self.promotions.append(day - DRIFT_DAY)
        return True


def watch_of(models: Models) -> DriftWatch:
    """The watch on what the models score from now on."""
    assert models.reference is not None
    return DriftWatch(models.reference)


def one_world(seed: int, act: Act) -> dict[str, Any]:
    """The figures of one seed; days are counted from the drift."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        world = rehearse(seed, replace(COURSE, drift=act.drift), DRIFT_DAY, DAYS, act.spec)
        looped = LoopedWorld(world, Path(folder))
        looped.run()
    seen = [day for day in looped.alarms if day > 0]
    promoted = [day for day in looped.promotions if day > 0]
    row = {
        "seed": seed,
        "act": act.prefix,
        "false_alarms": sum(day <= 0 for day in looped.alarms),
        "detection_days": seen[0] if seen else float("nan"),
        "recovery_days": promoted[0] if promoted else float("nan"),
        "promotions": len(promoted),
        "refused": looped.refused,
        "f1_before": looped.f1(-WEEK),
        "f1_drifted": looped.f1(0),
        "f1_after": looped.f1(28, 14),
        "seconds": time.perf_counter() - began,
    }
    if act.drift == NEW:
        row["new_recall_before"] = looped.recall_of_new(0)
    if promoted and act.drift == NEW:
        row["new_recall_just_after"] = looped.recall_of_new(promoted[0])
        row["new_recall_two_weeks_later"] = looped.recall_of_new(promoted[0] + 14)
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over the worlds, and how many of them saw and learnt the new fraud."""
    table = pd.DataFrame(rows).drop(columns=["seed", "act", "seconds"])
    medians = {
        name: float(median(table[name].dropna())) if table[name].notna().any() else float("nan") for name in table
    }
    counts = {f"{name}_worlds": int(table[name].notna().sum()) for name in ("detection_days", "recovery_days")}
    weeks = len(rows) * (DRIFT_DAY - CHAMPION_DAY) / WEEK
    return medians | counts | {"worlds": len(rows), "false_alarms_a_week": float(table["false_alarms"].sum() / weeks)}


def main() -> None:
    """Print a line a world and the summary; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help=f"worlds ({SEEDS[0]} to {SEEDS[-1]})")
    parser.add_argument("--rows", type=Path, help="a file of rows from earlier runs: read first, and written again")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    options = parser.parse_args()
    rows = json.loads(options.rows.read_text()) if options.rows and options.rows.exists() else []
    done = {(row["seed"], row["act"]) for row in rows}
    asked = [(seed, act) for act in ACTS for seed in options.seeds[: act.worlds]]
    for seed, act in tqdm([each for each in asked if (each[0], each[1].prefix) not in done], desc="worlds"):
        rows.append(one_world(seed, act))
        print(rows[-1], flush=True)
        if options.rows:
            options.rows.write_text(json.dumps(rows))
    results = {"join_tps": rates(SCORES)["as_usual"]}
    for act in ACTS:
        figures = summary([row for row in rows if row["act"] == act.prefix])
        results |= {f"{act.prefix}{name}": value for name, value in figures.items()}
    for name, value in results.items():
        print(f"{name:32}{value:10.3f}")
    if options.keep:
        keep(KEPT, {f"loop_{name}": Figure(value) for name, value in results.items()})
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
