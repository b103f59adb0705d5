"""Plain models that XGBoost has to beat: chance, one rule, logistic regression, LightGBM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from sklearn.tree import DecisionTreeClassifier

from capstone_utils.ingestion.arrays import Floats
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.thresholds import best_threshold
from capstone_utils.serving.training.train import EARLY_STOPPING_ROUNDS, ROUNDS

Scores = tuple[Floats, Floats]  # for the validation weeks and for the test weeks


def random_scores(split: Split, seed: int = 0) -> Scores:
    """Scores drawn at random for validation and test: the worst baseline."""
    generator = np.random.default_rng(seed)
    return generator.random(len(split.validation)), generator.random(len(split.test))


def stump_scores(split: Split, features: Sequence[str]) -> Scores:
    """Validation and test scores of the best rule "one feature, one cut"."""
    return _fit(DecisionTreeClassifier(max_depth=1), split, features)


def single_cut_f1(split: Split, feature: str) -> float:
    """F1 on the test weeks of the best rule "this feature beyond one cut".

    Side and cut are chosen on the validation weeks. Missing values never alert.
    """
    f1_by_side = []  # on the validation weeks and, with the same rule, on the test weeks
    for side in (1.0, -1.0):
        validation, test = (side * part[feature].to_numpy(float) for part in (split.validation, split.test))
        lowest = np.nanmin(validation) - 1.0
        validation, test = (np.nan_to_num(values, nan=lowest) for values in (validation, test))
        cut = best_threshold(split.validation["is_fraud"].to_numpy(), validation)
        parts = ((split.validation, validation), (split.test, test))
        f1_by_side.append([float(f1_score(part["is_fraud"], values >= cut)) for part, values in parts])
    return max(f1_by_side)[1]


def logistic_scores(split: Split, features: Sequence[str]) -> Scores:
    """Scores of a logistic regression on ranked features, for validation and test."""
    model = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        QuantileTransformer(n_quantiles=200, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    return _fit(model, split, features)


def lightgbm_scores(split: Split, features: Sequence[str], seed: int = 0) -> Scores | None:
    """Scores of LightGBM, with its own early stopping, for validation and test.

    None where it cannot be loaded.
    """
    try:
        import lightgbm as lgb
    except (ImportError, OSError) as reason:  # OSError: it is there, but not libgomp.so.1, which a bare Debian lacks
        print(f"no row for LightGBM, which cannot be loaded here: {reason}")
        return None

    names = list(features)
    model = lgb.LGBMClassifier(n_estimators=ROUNDS, learning_rate=0.05, num_leaves=31, random_state=seed, verbose=-1)
    model.fit(
        split.train[names],
        split.train["is_fraud"],
        eval_set=[(split.validation[names], split.validation["is_fraud"])],
        eval_metric="average_precision",
        callbacks=[lgb.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )
    return model.predict_proba(split.validation[names])[:, 1], model.predict_proba(split.test[names])[:, 1]


def _fit(model: object, split: Split, features: Sequence[str]) -> Scores:
    names = list(features)
    model.fit(split.train[names], split.train["is_fraud"])  # type: ignore[attr-defined]
    return tuple(model.predict_proba(part[names])[:, 1] for part in (split.validation, split.test))  # type: ignore[attr-defined]
