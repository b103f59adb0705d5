"""Prequential evaluation: a model trained every week beside one trained once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.train import predict, train_model


def prequential(folds: Iterable[Split], features: Sequence[str]) -> pd.DataFrame:
    """One row per test week: fraud, and F1 of the latest and the first model.

    The index is the week's first day.
    """
    first: ThresholdedModel | None = None
    rows = []
    for fold in folds:
        latest = train_model(fold, features).model
        first = first or latest
        f1 = {
            name: evaluate(fold.test, predict(model.booster, fold.test), model.threshold).f1
            for name, model in (("trained anew", latest), ("trained once", first))
        }
        week = pd.Timestamp(fold.test["timestamp"].iloc[0], unit="s").date()
        rows.append({"week": week, "fraud": int(fold.test["is_fraud"].sum()), **f1})
    return pd.DataFrame(rows).set_index("week")
