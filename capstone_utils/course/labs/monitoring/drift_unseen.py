"""Lab 10: a fraud that no gauge of the inputs sees, and that only labels show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.monitoring.drift import drift_report
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.training.splits import Split
from capstone_utils.serving.training.thresholds import best_threshold
from capstone_utils.serving.training.train import predict, train_xgboost
from capstone_utils.transaction import DAY_US

DAYS, DRIFT_DAY, WEEK = 92, 56, 7
TRAINING_DAYS = 35  # before the label delay; the last week of them sets the threshold
NEW_FRAUD = "cash_out"
REFERENCE = range(42, 49)
LEAST_RECALL, MOST_LOST = 0.4, 0.05  # what the gate asks of a new model: of the new fraud, of all the others


class DriftUnseen(Incident):
    """Two worlds that differ in one kind of fraud, and a model that was trained before it began."""

    number = 10
    praise = "Labels taught it what no gauge saw, and the gate let it in because it kept what the old one knew."

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = replace(config, days=DAYS, drift_day=None)
        self._control = _world(simulate(self._config))
        self._changed = self._control
        self._old = _trained(self._control, today=REFERENCE.stop + LABEL_DELAY_DAYS)

    def steady(self) -> None:
        after = self._control["day"] >= DRIFT_DAY
        print(f"largest PSI {self._psi(self._control):.3f}; recall {self._recall(self._old, self._control[after]):.2f}")

    def break_it(self) -> None:
        self._changed = _world(simulate(replace(self._config, drift_day=DRIFT_DAY)))
        self._moved = self._psi(self._changed), self._psi(self._control)
        number = (self._changed["scenario"] == NEW_FRAUD).sum()
        print(f"{number} payments of a new fraud, among {(self._changed['day'] >= DRIFT_DAY).sum():,}")

    def watch(self) -> None:
        print(f"largest PSI {self._moved[0]:.3f}, without the new fraud {self._moved[1]:.3f}")
        print(f"recall of the new fraud {self._recall(self._old, self._new(self._changed)):.2f}")

    def story(self, expected: float | None = None) -> None:
        recall = self._recall(self._old, self._new(self._changed))
        print(
            f"The gauge moved by {abs(self._moved[0] - self._moved[1]):.3f}, which is nothing. The "
            f"model finds {recall:.0%} of the new fraud. Nobody can know it before the first reports."
            + beside(expected, round(recall, 2), "recall of the new fraud")
        )

    def outcome(self, repair: object) -> str:
        if isinstance(repair, bool) or not isinstance(repair, int) or not DRIFT_DAY <= repair <= DAYS - WEEK:
            return f"Give a day from {DRIFT_DAY} to {DAYS - WEEK}: the week after it must be in the stream."
        new = self._new(self._changed)
        reports = int((new["is_fraud"] & (new["known_day"] < repair) & (new["day"] < repair - LABEL_DELAY_DAYS)).sum())
        if not reports:
            return f"On day {repair} there is no week of the new fraud whose labels have all arrived."
        again = _trained(self._changed, today=repair)
        week = self._changed[self._changed["day"].between(repair, repair + WEEK - 1)]
        recall, others = (self._recall(again, part) for part in (self._new(week), week[week["scenario"] != NEW_FRAUD]))
        before = self._recall(self._old, week[week["scenario"] != NEW_FRAUD])
        print(f"trained with {reports} reports of the new fraud; in the week after day {repair} it finds {recall:.0%}")
        print(f"of the other frauds {others:.0%}; the old model found {before:.0%}")
        if recall < LEAST_RECALL:
            return f"The gate wants {LEAST_RECALL:.0%} of the new fraud: wait for more reports."
        return "" if others >= before - MOST_LOST else "The gate refuses it: it forgot what the old one knew."

    def end(self) -> str:
        self._changed = self._control
        after = self._control["day"] >= DRIFT_DAY
        return f"recall {self._recall(self._old, self._control[after]):.2f} in the world without the new fraud"

    def _psi(self, frame: pd.DataFrame) -> float:
        """The largest of the features' indices: the days since the change against a week after training."""
        reference, recent = frame[frame["day"].isin(REFERENCE)], frame[frame["day"] >= DRIFT_DAY]
        names = list(SPEC.names)
        return float(drift_report(reference[names], recent[names])["psi"].max())

    def _new(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["scenario"] == NEW_FRAUD]

    def _recall(self, model: ThresholdedModel, frame: pd.DataFrame) -> float:
        """The share of the frame's frauds that the model finds, by the truth."""
        fraud = frame[frame["scenario"] != "legitimate"]
        found: Booleans = predict(model.booster, fraud) >= model.threshold
        return float(found.mean()) if len(found) else float("nan")


def _world(stream: Simulation) -> pd.DataFrame:
    """The spec's features of a stream, with day, is_fraud, known_day and scenario."""
    transactions = stream.transactions
    features = offline_features(transactions, SPEC, daily_tables(transactions, stream.labels))
    day = transactions["event_time_us"] // DAY_US
    labels = stream.labels.set_index("transaction_id").reindex(transactions["transaction_id"])
    return features[list(SPEC.names)].assign(
        day=(day - day.iloc[0]).to_numpy(),
        is_fraud=labels["is_fraud"].fillna(False).to_numpy(bool),
        known_day=(labels["known_at_us"] / DAY_US - day.iloc[0]).fillna(np.inf).to_numpy(),
        scenario=stream.truth["scenario"].astype(str).to_numpy(),
    )


def _trained(frame: pd.DataFrame, today: int) -> ThresholdedModel:
    """A model of the payments whose labels have all arrived; the last week of them sets its threshold."""
    last_known = today - LABEL_DELAY_DAYS - 1
    known = frame[frame["day"].between(max(WEEK, last_known - TRAINING_DAYS + 1), last_known)]
    known = known.assign(is_fraud=known["is_fraud"] & (known["known_day"] < today))
    last = known["day"] > last_known - WEEK
    split = Split(known[~last], known[last], known[last], known)
    booster = train_xgboost(split, SPEC.names)
    threshold = best_threshold(split.validation["is_fraud"], predict(booster, split.validation))
    return ThresholdedModel(booster, threshold)


LAB = Lab(
    number=10,
    notebook=4,
    title="Drift that gauges miss",
    steady=Step(
        f"""A model, trained before day {REFERENCE.stop}, and the days since in a world in which nothing changes.
All is well when no feature has drifted (PSI below 0.25, or as in the control) and recall is high.""",
        """from capstone_utils.course.labs.monitoring.drift_unseen import DriftUnseen

lab = DriftUnseen(stream.config)
lab.steady()""",
    ),
    hypothesis=Step(
        f"""From day {DRIFT_DAY} on a caller talks victims into buying gift cards, on their own device, from home.
Which share of that fraud will the model find?""",
        "expected = None  # <- your guess: recall, from 0 to 1",
    ),
    broken=Step("The same customers, the same purchases, and one fraud more.", "lab.break_it()"),
    watch=Step(
        "Watch the largest PSI beside its control, and the recall that only the simulator's truth can tell today.",
        "lab.watch()",
    ),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        f"""Train again. On which day? Labels take up to {LABEL_DELAY_DAYS} days, and the lab trains on days whose
labels have all arrived. The gate then judges the new model on the week that follows.""",
        "retrain_on = None  # <- a day of the stream",
    ),
    proof=Step(
        f"""The gate asks two things: at least {LEAST_RECALL:.0%} of the new fraud, and of the other frauds not
{100 * MOST_LOST:.0f} points less than the old model finds.""",
        "lab.prove(retrain_on)",
    ),
    lesson="""Drift gauges see **populations, not thieves**. What pays is a quick label, a new training and a gate.""",
    solution="retrain_on = 85",
    wrong=(
        Wrong("retrain_on = 57", "no week of the new fraud whose labels have all arrived"),
        Wrong("retrain_on = 71", "wait for more reports"),
        Wrong("retrain_on = 91", "the week after it must be in the stream"),
    ),
)
