"""Week after week: what a model trained anew each week shows, beside one that was trained once and left alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.train import predict, train_model


def prequential(folds: Iterable[Split], features: Sequence[str]) -> pd.DataFrame:
    """One row a test week (its first day): fraud, and F1 of the model trained for it and of the first week's model."""
    once: ThresholdedModel | None = None
    rows = []
    for fold in folds:
        anew = train_model(fold, features).model
        once = once or anew
        found = {
            name: evaluate(fold.test, predict(each.booster, fold.test), each.threshold).f1
            for name, each in (("trained anew", anew), ("trained once", once))
        }
        week = pd.Timestamp(fold.test["timestamp"].iloc[0], unit="s").date()
        rows.append({"week": week, "fraud": int(fold.test["is_fraud"].sum()), **found})
    return pd.DataFrame(rows).set_index("week")
