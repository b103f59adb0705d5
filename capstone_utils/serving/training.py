"""Training the detectives: XGBoost on the enriched transactions, and the plain models it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
import pandas as pd
import xgboost as xgb
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from sklearn.tree import DecisionTreeClassifier

from capstone_utils.serving.splits import Split

# Few and plain. Depth 5 lets five conditions meet, such as "new device, far away, large, at night, risky merchant".
PARAMETERS = {
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "max_depth": 5,
    "eta": 0.1,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "min_child_weight": 2,
    "tree_method": "hist",
}
ROUNDS = 400
PATIENCE = 40  # stop when the validation weeks' average precision has not risen for so many rounds


def train_xgboost(split: Split, features: Sequence[str], seed: int = 0, threads: int = 0) -> xgb.Booster:
    """A booster fitted on the training weeks and stopped early on the validation weeks, cut to its best round."""
    train, validation = (
        xgb.DMatrix(part[list(features)], label=part["is_fraud"], feature_names=list(features))
        for part in (split.train, split.validation)
    )
    booster = xgb.train(
        PARAMETERS | {"seed": seed, "nthread": threads},
        train,
        num_boost_round=ROUNDS,
        evals=[(validation, "validation")],
        early_stopping_rounds=PATIENCE,
        verbose_eval=False,
    )
    return booster[: booster.best_iteration + 1]


def predict(booster: xgb.Booster, frame: pd.DataFrame) -> np.ndarray:
    """Fraud probabilities, float32, shape (rows,); a feature that the frame lacks counts as missing."""
    return booster.inplace_predict(frame.reindex(columns=booster.feature_names).to_numpy(float))


def booster_scores(
    booster: xgb.Booster, split: Split, seen: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a trained booster for validation and test; with `seen`, all other features count as missing."""
    validation, test = (part if seen is None else part[list(seen)] for part in (split.validation, split.test))
    return predict(booster, validation), predict(booster, test)


def random_scores(split: Split, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores drawn at random for validation and test: the floor under every figure."""
    generator = np.random.default_rng(seed)
    return generator.random(len(split.validation)), generator.random(len(split.test))


def stump_scores(split: Split, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the best rule "one feature, one cut", for validation and test."""
    return _fit(DecisionTreeClassifier(max_depth=1), split, features)


def logistic_scores(split: Split, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a logistic regression on ranked features, for validation and test."""
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        QuantileTransformer(n_quantiles=200, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    return _fit(model, split, features)


def lightgbm_scores(split: Split, features: Sequence[str], seed: int = 0) -> tuple[np.ndarray, np.ndarray] | None:
    """Scores of LightGBM with its own early stopping, for validation and test; None where it is not installed."""
    if find_spec("lightgbm") is None:
        return None
    import lightgbm as lgb

    names = list(features)
    model = lgb.LGBMClassifier(n_estimators=ROUNDS, learning_rate=0.05, num_leaves=31, random_state=seed, verbose=-1)
    model.fit(
        split.train[names],
        split.train["is_fraud"],
        eval_set=[(split.validation[names], split.validation["is_fraud"])],
        eval_metric="average_precision",
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
    )
    return model.predict_proba(split.validation[names])[:, 1], model.predict_proba(split.test[names])[:, 1]


def _fit(model: object, split: Split, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    names = list(features)
    model.fit(split.train[names], split.train["is_fraud"])  # type: ignore[attr-defined]
    return tuple(model.predict_proba(part[names])[:, 1] for part in (split.validation, split.test))  # type: ignore[attr-defined]
