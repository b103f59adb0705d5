"""False alarms in worlds where nothing changes, and days until a drift is seen: by our detectors and by others.

Each seed of the simulator is a world of its own, with a model trained as notebook 3 trains it. None of these seeds was
used when detectors and limits were chosen. Worlds are kept in a directory: a second run only watches them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.drift_contenders import CONTENDERS, EVIDENTLY, Rings, days_of
from benchmarks.drift_worlds import DRIFT_DAY, DRIFTS, FIRST_DAY, World, registry_of, world
from benchmarks.kept import keep
from capstone_utils.course.results import Figure
from capstone_utils.monitoring.drift.reports import Report
from capstone_utils.monitoring.drift.watch import DriftWatch
from capstone_utils.serving.reference import Reference
from capstone_utils.transaction import DAY_US, category_of

SEEDS = tuple(range(3001, 3011))
DRIFTED_SEEDS = 4  # the first so many also with each drift
EVIDENTLY_SEEDS = 2  # it takes a second a week
BUDGET = 1.0  # false alarms a week, over all detectors
OURS = "ours"
HOUR_US = DAY_US // 24
KEPT = "drift"


def watched(scored: World, reference: Reference) -> tuple[dict[str, Rings], str]:
    """The days on which each of our detectors rings, and what was named first; the clock moves hour by hour."""
    watch = DriftWatch(reference)
    for place in np.flatnonzero(scored.reported).tolist():
        category = category_of(str(scored.merchants[place]))
        watch.add_report(Report(int(scored.known_at_us[place]), place, not scored.frauds[place], category))
    rows, times = np.column_stack([scored.features, scored.probabilities]), scored.times_us
    rings: dict[str, Rings] = defaultdict(list)
    named = ""
    for clock in range(int(times[0] // HOUR_US * HOUR_US), int(times[-1]), HOUR_US):
        now = slice(*np.searchsorted(times, [clock, clock + HOUR_US]))
        watch.add_scores(times[now], scored.users[now], rows[now], scored.frauds[now])
        for alarm in watch.advance(clock + HOUR_US):
            rings[alarm.detector].append(alarm.at_us / DAY_US - times[0] // DAY_US + FIRST_DAY)
            if alarm.detector == "missed_fraud" and not named:
                named = alarm.column
    rings[OURS] = sorted(day for days in rings.values() for day in days)
    return rings, named


def all_rings(directory: Path, seeds: Sequence[int]) -> pd.DataFrame:
    """A row for each world and detector: seed, drift, detector, weeks watched, rings, and the category named first."""
    pairs = [(seed, drift) for drift in DRIFTS for seed in (seeds if drift == "steady" else seeds[:DRIFTED_SEEDS])]
    rows = []
    for seed, drift in tqdm(pairs, desc="worlds"):
        scored = world(directory, seed, drift)
        rings, named = watched(scored, registry_of(directory, seed).load().reference)
        others = CONTENDERS | (EVIDENTLY if seed in seeds[:EVIDENTLY_SEEDS] else {})
        rings = {name: [] for name in DETECTORS} | rings | {name: others[name](scored) for name in others}
        weeks = (days_of(scored)[-1] - FIRST_DAY) / 7
        rows += [(seed, drift, detector, weeks, days, named) for detector, days in rings.items()]
    return pd.DataFrame(rows, columns=["seed", "drift", "detector", "weeks", "rings", "named"])


DETECTORS = ("missed_fraud", "alerts", "score", "feature", "reference", "missing", "new_device", "labels", OURS)


def table(rings: pd.DataFrame) -> pd.DataFrame:
    """One row a detector: false alarms a week, and for each drift the worlds in which it rings and the median days."""
    rows = {}
    for detector, of_detector in rings.groupby("detector", sort=False):
        steady = of_detector[of_detector["drift"] == "steady"]
        row: dict[str, float] = {"a_week": steady["rings"].map(len).sum() / steady["weeks"].sum()}
        for drift in DRIFTS:
            delays = [first_delay(each) for each in of_detector.loc[of_detector["drift"] == drift, "rings"]]
            seen = [delay for delay in delays if delay is not None]
            row |= {f"{drift}_worlds": len(delays), f"{drift}_seen": len(seen)}
            row[f"{drift}_days"] = median(seen) if seen else float("nan")
        rows[detector] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def first_delay(rings: Rings) -> float | None:
    """Days from the drift to the first ring after it."""
    return next((day - DRIFT_DAY for day in sorted(rings) if day >= DRIFT_DAY), None)


def summary(rings: pd.DataFrame, results: pd.DataFrame) -> dict[str, Any]:
    """The figures of the last line."""
    steady = rings[(rings["drift"] == "steady") & (rings["detector"] == OURS)]
    names = rings.loc[(rings["drift"] == "cash_out") & (rings["detector"] == OURS), "named"]
    return {
        "seeds": steady["seed"].tolist(),
        "weeks": float(steady["weeks"].sum()),
        "false_alarms": int(steady["rings"].map(len).sum()),
        "false_alarms_a_week": float(results.loc[OURS, "a_week"]),
        "false_alarms_in_eight_weeks": float(8 * results.loc[OURS, "a_week"]),
        "budget": BUDGET,
        "gift_cards_named": int((names == "Gift Cards").sum()),
        "detectors": json.loads(results.to_json(orient="index")),
    }


def figures(results: Mapping[str, Any]) -> dict[str, Figure]:
    """The summary's figures by the names under which documents quote them, such as drift_ours_a_week."""
    flat = {f"drift_{name}": Figure(value) for name, value in results.items() if isinstance(value, int | float)}
    flat["drift_worlds"] = Figure(len(results["seeds"]))
    for detector, row in results["detectors"].items():
        flat |= {f"drift_{detector}_{name}": Figure(value) for name, value in row.items() if value is not None}
    return flat


def main() -> None:
    """Print the table; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help=f"worlds ({SEEDS[0]} to {SEEDS[-1]})")
    parser.add_argument("--worlds", type=Path, default=Path("build/drift-worlds"), help="where worlds are kept")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    options = parser.parse_args()
    began = time.perf_counter()
    rings = all_rings(options.worlds, options.seeds)
    results = table(rings)
    print(results.drop(columns=[name for name in results if name.endswith("_worlds")]).round(2).to_string(na_rep="-"))
    found = summary(rings, results) | {"seconds": time.perf_counter() - began}
    met = "kept" if found["false_alarms_a_week"] <= BUDGET else "not kept"
    print(f"\n{found['false_alarms']} false alarms in {found['weeks']:.0f} steady weeks; {BUDGET:g} a week: {met}")
    if options.keep:
        keep(KEPT, figures(found))
    if options.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
