"""A small stream and two small detectives trained on it, shared by the tests of floor 3."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost as xgb

from capstone_utils.features.daily import DailyTable, daily_tables
from capstone_utils.features.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.serving.scorer import Scorer
from capstone_utils.serving.store import Detective, Models


@pytest.fixture(scope="session")
def stream() -> Simulation:
    """Two weeks of two hundred customers."""
    return simulate(SimulatorConfig(seed=3, customers=200, days=14))


@pytest.fixture(scope="session")
def daily(stream: Simulation) -> dict[str, DailyTable]:
    """The stream's batch tables."""
    return daily_tables(stream.transactions, stream.labels)


@pytest.fixture(scope="session")
def models(stream: Simulation, daily: dict[str, DailyTable]) -> Models:
    """Detectives that have seen the whole stream: good enough to answer, not to be judged."""
    features = offline_features(stream.transactions, SPEC, daily)
    fraud = (stream.truth["scenario"] != "legitimate").to_numpy(float)
    return Models(score=detective(features, fraud, SPEC.names), predict=detective(features, fraud, BRIEF_FEATURES))


def detective(features, fraud: np.ndarray, names: tuple[str, ...]) -> Detective:
    """A booster of a few rounds on these features."""
    data = xgb.DMatrix(features[list(names)], label=fraud, feature_names=list(names))
    return Detective(xgb.train({"objective": "binary:logistic", "max_depth": 3, "nthread": 1}, data, 12), 0.3)


@pytest.fixture
def scorer(models: Models, daily: dict[str, DailyTable]) -> Scorer:
    """A scorer that has seen nothing yet."""
    return Scorer(models, daily)
