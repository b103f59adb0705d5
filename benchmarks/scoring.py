"""The cost of one verdict, alone and in a batch, against XGBoost's.

The course's model on the course's stream, with some features missing; XGBoost's prediction beside it, on one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np

from benchmarks.kept import keep
from capstone_utils.course.materials import course_stream, ensure_enriched, ensure_models
from capstone_utils.course.results import Figure
from capstone_utils.features.spec import SPEC
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.trees import Trees
from capstone_utils.settings import Settings

ROWS, BATCH, MISSING = 20_000, 2_000, 0.1


def single_us(score: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    """Microseconds for a row alone: the median of all the calls."""
    seconds = []
    for place in range(len(rows)):
        row = rows[place : place + 1]
        began = time.perf_counter()
        score(row)
        seconds.append(time.perf_counter() - began)
    return 1e6 * median(seconds)


def batch_us(score: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    """Microseconds for a row among `BATCH`: the median of all the batches."""
    seconds = []
    for place in range(0, len(rows), BATCH):
        began = time.perf_counter()
        score(rows[place : place + BATCH])
        seconds.append(time.perf_counter() - began)
    return 1e6 * median(seconds) / BATCH


def main() -> None:
    """Print a line per contender; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help="write docs/scoring.json, which docs/speed.md quotes")
    options = parser.parse_args()
    settings = Settings.from_environment()
    enriched = ensure_enriched(settings, course_stream())
    models = ensure_models(settings, enriched)
    rows = enriched[list(SPEC.names)].tail(ROWS).to_numpy(float)
    rows = np.where(np.random.default_rng(0).random(rows.shape) < MISSING, np.nan, rows)
    booster, trees, classifier = models.score.booster, Trees(models.score.booster), Classifier(models)

    def xgboost(table: np.ndarray) -> np.ndarray:
        return np.asarray(booster.inplace_predict(table, predict_type="margin"))

    contenders: dict[str, Callable[[np.ndarray], object]] = {
        "XGBoost": xgboost,
        "trees": trees.margins,
        "trees and fallback": classifier.classify,
    }
    alone = {name: single_us(score, rows[:5_000]) for name, score in contenders.items()}
    together = {name: batch_us(score, rows) for name, score in contenders.items()}
    difference = float(np.abs(xgboost(rows) - trees.margins(rows)).max())
    print(f"{booster.num_boosted_rounds()} trees, {len(rows):,} rows, microseconds a row (median)")
    print(f"{'':20}{'alone':>10}{f'of {BATCH:,}':>12}")
    for name in contenders:
        print(f"{name:20}{alone[name]:10.2f}{together[name]:12.2f}")
    ratio = alone["XGBoost"] / alone["trees"]
    print(f"alone, the trees are {ratio:.0f} times as fast; largest difference {difference}")
    costs = {"single_us": alone["trees"], "batch_us": together["trees"]}
    costs |= {"xgboost_single_us": alone["XGBoost"], "xgboost_batch_us": together["XGBoost"]}
    if options.keep:
        figures = {f"scoring_{name}": Figure(value, "µs") for name, value in costs.items()}
        figures |= {"scoring_trees": Figure(booster.num_boosted_rounds()), "scoring_ratio": Figure(ratio, "times")}
        keep("scoring", figures | {"scoring_rows": Figure(len(rows)), "scoring_max_margin_diff": Figure(difference)})
    if options.json:
        print(json.dumps(costs | {"max_margin_diff": difference}))


if __name__ == "__main__":
    main()
