"""Does the fallback earn its place? One scenario is kept wholly out of training, then thieves begin with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capstone_utils.arrays import Booleans
from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.simulation.rows import DAY_SECONDS, SECOND_US
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.serving.evaluation.slices import recall_by_scenario
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.serving.training.train import predict, train_models

TEST_BEGINS = 49  # the day of the stream on which the test week of `split_by_time` begins


@dataclass(frozen=True)
class LeftOut:
    """Recall on the test week's frauds of a scenario that no one had seen before, and F1 over all of that week.

    `alone` is the model with its threshold lowered until it raises as many alerts as with the fallback. Where the
    test week holds no fraud of the scenario, its recalls are NaN.
    """

    scenario: str
    fraud: int
    alerts_a_day: float
    recall_alone: float
    recall: float
    f1_alone: float
    f1: float

    @property
    def gain(self) -> float:
        """How much more of the scenario's fraud the fallback catches at the same number of alerts."""
        return self.recall - self.recall_alone


def without_scenario(stream: Simulation, scenario: str, until_day: int) -> Simulation:
    """The stream as if thieves had begun with `scenario` on the day `until_day`, 0 being the first."""
    until_us = stream.config.start_us() + until_day * DAY_SECONDS * SECOND_US
    early = stream.transactions["event_time_us"] < until_us
    kept = ~(early & (stream.truth["scenario"] == scenario)).to_numpy()
    frames = {name: getattr(stream, name)[kept].reset_index(drop=True) for name in ("transactions", "labels", "truth")}
    return replace(stream, **frames)


def leave_out(stream: Simulation, scenario: str) -> LeftOut:
    """What becomes of `scenario` when it begins with the test week, with the fallback and without."""
    stream = without_scenario(stream, scenario, TEST_BEGINS)
    split = split_by_time(enriched_history(stream.transactions, stream.labels))
    models, test = train_models(split), split.test
    verdicts = Classifier(models).classify(test[list(SPEC.names)].to_numpy(float))
    caught = np.array([verdict.fraud for verdict in verdicts])
    scores = predict(models.score.booster, test)
    alone = np.zeros(len(test), dtype=bool)
    alone[np.argsort(-scores, kind="stable")[: caught.sum()]] = True
    labels = test["is_fraud"].to_numpy(bool)

    def f1(alerts: Booleans) -> float:
        return float(2 * (alerts & labels).sum() / (alerts.sum() + labels.sum()))

    recalls = [recall_by_scenario(test, alerts, stream.truth).reindex([scenario]) for alerts in (alone, caught)]
    return LeftOut(
        scenario=scenario,
        fraud=int(recalls[0]["fraud"].fillna(0).iloc[0]),
        alerts_a_day=float(caught.sum() / 7),
        recall_alone=float(recalls[0]["recall"].iloc[0]),
        recall=float(recalls[1]["recall"].iloc[0]),
        f1_alone=f1(alone),
        f1=f1(caught),
    )
