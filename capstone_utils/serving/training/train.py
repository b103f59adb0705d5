"""Train XGBoost on enriched transactions; later weeks choose rounds and threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd
import xgboost as xgb

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC, FeatureSpec
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.training.fit_fallback import fit_fallback
from capstone_utils.serving.training.fit_reference import fit_reference
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.thresholds import steady_threshold

# Few and plain. Depth 5 lets five conditions meet, such as "new device, far away, large, at night, risky merchant".
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "aucpr",
    "max_depth": 5,
    "eta": 0.1,  # how much each tree may correct
    "min_child_weight": 5,  # a leaf of fewer doubtful transactions would learn one thief by heart
    "subsample": 0.8,  # each tree sees four transactions in five,
    "colsample_bytree": 0.6,  # and three features in five: no tree can lean on one of them alone
    "tree_method": "hist",
}
ROUNDS = 400
EARLY_STOPPING_ROUNDS = 40  # stop when the validation weeks' average precision has not risen for so many rounds


def train_xgboost(
    split: Split,
    features: Sequence[str],
    seed: int = 0,
    threads: int = 0,
    parameters: Mapping[str, Any] | None = None,
) -> xgb.Booster:
    """A booster of the training weeks, stopped early on the validation weeks.

    It is cut to its best round.

    `parameters` take the place of those of the same name in PARAMETERS.
    """
    train, validation = (
        xgb.DMatrix(part[list(features)], label=part["is_fraud"], feature_names=list(features))
        for part in (split.train, split.validation)
    )
    booster = xgb.train(
        PARAMETERS | dict(parameters or {}) | {"seed": seed, "nthread": threads},
        train,
        num_boost_round=ROUNDS,
        evals=[(validation, "validation")],
        early_stopping_rounds=EARLY_STOPPING_ROUNDS,
        verbose_eval=False,
    )
    return booster[: booster.best_iteration + 1]


def predict(booster: xgb.Booster, frame: pd.DataFrame) -> Floats:
    """Fraud probabilities, float32, shape (rows,); a feature that the frame lacks counts as missing."""
    return booster.inplace_predict(frame.reindex(columns=booster.feature_names).to_numpy(float))


def booster_scores(booster: xgb.Booster, split: Split, seen: Sequence[str] | None = None) -> tuple[Floats, Floats]:
    """Scores of a trained booster for validation and test.

    With `seen`, all other features count as missing.
    """
    validation, test = (part if seen is None else part[list(seen)] for part in (split.validation, split.test))
    return predict(booster, validation), predict(booster, test)


class Trained(NamedTuple):
    """A model trained on all known weeks, and one before it.

    The one before it learnt from the training weeks only.
    """

    model: ThresholdedModel
    before: ThresholdedModel


def train_model(split: Split, features: Sequence[str], seed: int = 0) -> Trained:
    """XGBoost on these features, trained twice.

    The validation weeks choose its rounds and its threshold.

    The second training adds the gap and the validation weeks. Their labels have arrived when the test weeks begin. Its
    rounds grow by the same factor as its transactions.
    """
    booster = train_xgboost(split, features, seed)
    threshold = steady_threshold(split.validation["is_fraud"], predict(booster, split.validation))
    rounds = round(booster.num_boosted_rounds() * len(split.known) / len(split.train))
    known = xgb.DMatrix(split.known[list(features)], label=split.known["is_fraud"], feature_names=list(features))
    again = xgb.train(PARAMETERS | {"seed": seed}, known, rounds)
    return Trained(ThresholdedModel(again, threshold), ThresholdedModel(booster, threshold))


def train_models(split: Split, spec: FeatureSpec = SPEC, seed: int = 0, recent: pd.DataFrame | None = None) -> Models:
    """All models that a service needs; the test weeks are not used.

    The reference is that of the rows after training, or of `recent`: rows from which nothing is learnt before the end.
    """
    score, brief = (train_model(split, names, seed) for names in (spec.names, BRIEF_FEATURES))
    fallback = fit_fallback(split, score.before)
    reference = fit_reference(split.after_training if recent is None else recent, score.model, score.before, fallback)
    return Models(score.model, brief.model, fallback, reference)
