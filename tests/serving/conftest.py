"""A small stream and two small models trained on it, shared by the tests of floor 3."""

from __future__ import annotations

import pandas as pd
import pytest

from capstone_utils.features.daily_tables import DailyTable, daily_tables
from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.serving.training.splits import Split, split_by_time
from capstone_utils.serving.training.train import train_models
from tests.serving.small_model import small_model


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
    """Models trained on the whole stream: good enough to answer, not to be evaluated."""
    features = offline_features(stream.transactions, SPEC, daily)
    fraud = (stream.truth["scenario"] != "legitimate").to_numpy(float)
    return Models(score=small_model(features, fraud, SPEC.names), predict=small_model(features, fraud, BRIEF_FEATURES))


@pytest.fixture(scope="session")
def world() -> Simulation:
    """Nine weeks of a thousand customers: enough to train and to test on."""
    return simulate(SimulatorConfig(seed=5, customers=1000, days=64))


@pytest.fixture(scope="session")
def enriched(world: Simulation) -> pd.DataFrame:
    """The world's payments with features and the labels that had arrived."""
    return enriched_history(world.transactions, world.labels)


@pytest.fixture(scope="session")
def split(enriched: pd.DataFrame) -> Split:
    """Its training, validation and test weeks."""
    return split_by_time(enriched)


@pytest.fixture(scope="session")
def trained(split: Split) -> Models:
    """Models trained on it as the course trains them."""
    return train_models(split)


@pytest.fixture
def scorer(models: Models, daily: dict[str, DailyTable]) -> Scorer:
    """A scorer that has seen nothing yet."""
    return Scorer(models, daily)
