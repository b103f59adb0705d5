"""A small seeded search for hyperparameters on the validation weeks, done within a minute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score
from sklearn.model_selection import ParameterSampler
from tqdm import tqdm

from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.train import PARAMETERS, predict, train_xgboost

TRIALS = 12
SPACE: dict[str, list[Any]] = {
    "max_depth": [3, 4, 5, 6, 7],
    "eta": [0.05, 0.1, 0.2],
    "min_child_weight": [1, 2, 5, 10],
    "subsample": [0.6, 0.8, 1.0],
    "colsample_bytree": [0.4, 0.6, 0.8, 1.0],
}


def search(split: Split, features: Sequence[str], trials: int = TRIALS, seed: int = 0) -> pd.DataFrame:
    """One row per trial, best first: parameters, rounds, validation average precision.

    The first trial is PARAMETERS, the others are drawn at random from SPACE. `number` is the order of the trials.
    Source: J. Bergstra, Y. Bengio: Random Search for Hyper-Parameter Optimization, JMLR 13 (2012).
    """
    drawn = ParameterSampler(SPACE, trials - 1, random_state=np.random.RandomState(seed))
    rows = []
    for parameters in tqdm([{name: PARAMETERS[name] for name in SPACE}, *drawn], desc="trials", disable=None):
        booster = train_xgboost(split, features, parameters=parameters)
        precision = average_precision_score(split.validation["is_fraud"], predict(booster, split.validation))
        rows.append({**parameters, "rounds": booster.num_boosted_rounds(), "average_precision": float(precision)})
    table = pd.DataFrame(rows).rename_axis("number")
    return table.sort_values("average_precision", ascending=False, kind="stable")
