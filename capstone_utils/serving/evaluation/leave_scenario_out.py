"""The worth of the fallback on a scenario kept out of training.

Thieves begin with it in the test week.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.serving.evaluation.slices import recall_by_scenario
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.training.splits import TEST_DAYS, first_days, split_by_time
from capstone_utils.serving.training.train import predict, train_models
from capstone_utils.transaction import DAY_SECONDS, SECOND_US


@dataclass(frozen=True)
class LeftOut:
    """Recall on a scenario unseen in training, and F1 on the test week.

    `recall_alone` and `f1_alone` are the model's without the fallback, its threshold lowered until it raises as many
    alerts as with the fallback. The recalls are NaN when the test week holds no fraud of the scenario.
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
        """The recall that the fallback adds at the same number of alerts."""
        return self.recall - self.recall_alone


def without_scenario(stream: Simulation, scenario: str, until_day: int) -> Simulation:
    """The stream as if thieves had begun with `scenario` on the day `until_day`, 0 being the first."""
    until_us = stream.config.start_us() + until_day * DAY_SECONDS * SECOND_US
    early = stream.transactions["event_time_us"] < until_us
    kept = ~(early & (stream.truth["scenario"] == scenario)).to_numpy()
    frames = {name: getattr(stream, name)[kept].reset_index(drop=True) for name in ("transactions", "labels", "truth")}
    return replace(stream, **frames)


def leave_out(stream: Simulation, scenario: str) -> LeftOut:
    """Recall and F1, with the fallback and without, when `scenario` begins with the test week."""
    stream = without_scenario(stream, scenario, until_day=int(first_days()[2]))
    split = split_by_time(enriched_history(stream.transactions, stream.labels))
    models, test = train_models(split), split.test
    verdicts = Classifier(models).classify(test[list(SPEC.names)].to_numpy(float))
    combined = np.array([verdict.fraud for verdict in verdicts])
    scores = predict(models.score.booster, test)
    alone = np.zeros(len(test), dtype=bool)
    alone[np.argsort(-scores, kind="stable")[: combined.sum()]] = True
    labels = test["is_fraud"].to_numpy(bool)

    def f1(alerts: Booleans) -> float:
        return float(2 * (alerts & labels).sum() / (alerts.sum() + labels.sum()))

    recalls = [recall_by_scenario(test, alerts, stream.truth).reindex([scenario]) for alerts in (alone, combined)]
    return LeftOut(
        scenario=scenario,
        fraud=int(recalls[0]["fraud"].fillna(0).iloc[0]),
        alerts_a_day=float(combined.sum() / TEST_DAYS),
        recall_alone=float(recalls[0]["recall"].iloc[0]),
        recall=float(recalls[1]["recall"].iloc[0]),
        f1_alone=f1(alone),
        f1=f1(combined),
    )
