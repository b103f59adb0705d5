"""The quality of the model in many worlds; the fallback's worth.

Each seed of the simulator is a world of its own: other customers, other thieves. In each, the models are trained as in
notebook 3. They are evaluated on a week that begins a label delay after their training data, at the threshold of their
validation weeks. None of these seeds was used when features, parameters or thresholds were chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.kept import keep
from capstone_utils.course.materials import COURSE
from capstone_utils.course.results import Figure
from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.simulation.fraud.thieves import BLENDS
from capstone_utils.ingestion.simulation.rows import SCENARIOS
from capstone_utils.ingestion.simulation.simulator import simulate
from capstone_utils.serving.evaluation.baselines import single_cut_f1
from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.evaluation.leave_scenario_out import LeftOut, leave_out
from capstone_utils.serving.evaluation.slices import recall_by_scenario
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.serving.training.train import predict, train_models

SEEDS = tuple(range(1001, 1011))
LEFT_OUT = tuple(name for name in SCENARIOS if name not in ("legitimate", "cash_out"))
KEPT = "model"


def one_world(seed: int, difficulty: str) -> dict[str, Any]:
    """The models' figures in one seed's world: a flat row, with recalls by scenario."""
    stream = simulate(replace(COURSE, seed=seed, difficulty=difficulty))
    split = split_by_time(enriched_history(stream.transactions, stream.labels))
    models, test = train_models(split), split.test
    labels = test["is_fraud"].to_numpy(bool)
    served = np.array(
        [verdict.fraud for verdict in Classifier(models).classify(test[list(SPEC.names)].to_numpy(float))]
    )
    ours = evaluate(test, predict(models.score.booster, test), models.score.threshold)
    brief = evaluate(test, predict(models.predict.booster, test), models.predict.threshold)
    recalls = recall_by_scenario(test, served, stream.truth)["recall"].reindex(LEFT_OUT)  # NaN: not in the test week
    return {
        "difficulty": difficulty,
        "seed": seed,
        "f1": float(2 * (served & labels).sum() / (served.sum() + labels.sum())),
        "f1_without_fallback": ours.f1,
        "average_precision": ours.average_precision,
        "f1_brief": brief.f1,
        "f1_stump": max(single_cut_f1(split, name) for name in SPEC.names),
        **{f"recall_{name}": float(recalls[name]) for name in LEFT_OUT},
    }


def all_worlds(seeds: Sequence[int]) -> pd.DataFrame:
    """One row per world: every seed on standard difficulty, the first three on the others too."""
    worlds = [(seed, name) for name in BLENDS for seed in (seeds if name == "standard" else seeds[:3])]
    return pd.DataFrame([one_world(seed, name) for seed, name in tqdm(worlds, desc="worlds")])


def left_out(seeds: Sequence[int]) -> list[LeftOut]:
    """The result for each scenario in each world when it is wholly left out of training."""
    pairs = [(seed, scenario) for seed in seeds for scenario in LEFT_OUT]
    return [leave_out(simulate(replace(COURSE, seed=seed)), name) for seed, name in tqdm(pairs, desc="left out")]


def summary(worlds: pd.DataFrame, unseen: Sequence[LeftOut]) -> dict[str, Any]:
    """The figures of the last line: over all seeds on standard difficulty, and the fallback's gain by scenario."""
    standard = worlds[worlds["difficulty"] == "standard"]
    table = pd.DataFrame([{**asdict(each), "gain": each.gain} for each in unseen])
    by_scenario = table.groupby("scenario").mean().reindex(LEFT_OUT)  # a world without the scenario counts for none
    return {
        "seeds": standard["seed"].tolist(),
        "f1_by_seed": dict(zip(map(str, standard["seed"]), standard["f1"], strict=True)),
        "min_f1": float(standard["f1"].min()),
        "min_f1_without_fallback": float(standard["f1_without_fallback"].min()),
        "recall_by_scenario": {name: float(standard[f"recall_{name}"].mean()) for name in LEFT_OUT},
        "min_recall_by_scenario": {name: float(standard[f"recall_{name}"].min()) for name in LEFT_OUT},
        "stump_f1": float(standard["f1_stump"].max()),
        "brief_features_f1": float(standard["f1_brief"].max()),
        "f1_by_difficulty": worlds.groupby("difficulty")["f1"].mean().to_dict(),
        **{f"fallback_{name}": by_scenario[name].to_dict() for name in ("gain", "recall", "recall_alone")},
        "fallback_f1_cost": float((standard["f1_without_fallback"] - standard["f1"]).mean()),
    }


def figures(results: dict[str, Any]) -> dict[str, Figure]:
    """The summary's figures by the names under which documents quote them: model_min_f1, model_gain_cloned_card, ..."""
    flat = {"model_seeds": Figure(len(results["seeds"]))}
    for name, value in results.items():
        if isinstance(value, dict):
            flat |= {f"model_{name}_{key}": Figure(value[key]) for key in value}
        elif not isinstance(value, list):
            flat[f"model_{name}"] = Figure(value)
    return flat


def main() -> None:
    """Print the tables; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help=f"worlds ({SEEDS[0]} to {SEEDS[-1]})")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    options = parser.parse_args()
    worlds, unseen = all_worlds(options.seeds), left_out(options.seeds[:5])
    results = summary(worlds, unseen)
    print(worlds.round(3).to_string(index=False), end="\n\n")
    columns = ["scenario", "fraud", "alerts_a_day", "recall_alone", "recall", "f1_alone", "f1"]
    table = pd.DataFrame([asdict(each) for each in unseen])[columns].groupby("scenario").mean()
    print(f"A scenario left wholly out of training, mean of {len(options.seeds[:5])} worlds, equal numbers of alerts:")
    print(table.round(3).to_string())
    if options.keep:
        keep(KEPT, figures(results))
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
