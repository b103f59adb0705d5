"""Lab 5: a feature that looks only backwards, and still knows the future."""

from __future__ import annotations

import pandas as pd

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.course.labs.serving.fraud_shares import fraud_share, known_share, online_values
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, FeatureSpec, InvalidSpec, Window
from capstone_utils.ingestion.labels import labels_known_by
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.training.splits import Split, split_by_time
from capstone_utils.serving.training.thresholds import best_threshold
from capstone_utils.serving.training.train import predict, train_xgboost

LEAK = "fraud_share_24h"
SIXTH = 310_285  # the sixth payment of customer 268's burst
CUSTOMERS = 30  # whose online values are compared
IMPORT = "from capstone_utils.features.spec import Window\n\n"


class Leak(Incident):
    """A model of the brief's five features, and one more that is made from labels."""

    number = 5
    praise = "It knows less, and what it knows it knows in service, too."

    def __init__(self, stream: Simulation, enriched: pd.DataFrame) -> None:
        self._stream, self._enriched = stream, enriched
        self._split: Split | None = None
        self._honest = self._on_paper = self._in_service = float("nan")

    def steady(self) -> None:
        self._honest, _ = self._f1(split_by_time(self._enriched), BRIEF_FEATURES)
        print(f"the brief's five features: F1 {self._honest:.3f}, on paper and in service")

    def break_it(self) -> None:
        leaky = self._enriched.assign(**{LEAK: fraud_share(self._enriched)})
        at_the_till = self._enriched.assign(**{LEAK: known_share(self._enriched)})
        split, self._split = split_by_time(leaky), split_by_time(at_the_till)
        self._on_paper, self._in_service = self._f1(split, [*BRIEF_FEATURES, LEAK], self._split.test)
        row = self._enriched["transaction_id"] == SIXTH
        self._values = float(leaky.loc[row, LEAK].iloc[0]), float(at_the_till.loc[row, LEAK].iloc[0])
        print(f"one more column, {LEAK}: F1 {self._on_paper:.3f} on paper")

    def watch(self) -> None:
        in_file, known = self._values
        print(f"in service: F1 {self._in_service:.3f}")
        print(f"{LEAK} of payment {SIXTH}: {in_file:.2f} in the file, {known:.2f} by the labels that had arrived")

    def story(self, expected: float | None = None) -> None:
        row = self._enriched[self._enriched["transaction_id"] == SIXTH].iloc[0]
        days = (row["label_known_at"] - row["timestamp"]) / 86_400
        print(
            f"The column looks back over a day, and never ahead. But its labels took longer: that of {SIXTH} came "
            f"{days:.1f} days later. The file holds today what nobody knew then, and F1 fell from "
            f"{self._on_paper:.3f} to {self._in_service:.3f}; without the column it was {self._honest:.3f}."
            + beside(expected, round(self._in_service, 3), "F1 in service")
        )

    def outcome(self, repair: object) -> str:
        if not isinstance(repair, Window) or repair.aggregate != "fraud_rate" or repair.key != "user_id":
            return 'The repair is a Window of the customer (key "user_id") with the aggregate "fraud_rate".'
        try:
            spec = FeatureSpec((repair,))
        except InvalidSpec as words:
            return f"The spec refuses it. {words}."
        transactions, labels = self._stream.transactions, self._stream.labels
        column = offline_features(transactions, spec, labels=labels)[repair.name]
        column.index = pd.Index(transactions["transaction_id"])
        if changed := self._changed_without_the_future(spec, column):
            return f"{changed} values change when the labels of later days are taken away."
        differences = self._differences_online(spec, column)
        frame = self._enriched.assign(**{repair.name: column.loc[self._enriched["transaction_id"]].to_numpy()})
        f1, _ = self._f1(split_by_time(frame), [*BRIEF_FEATURES, repair.name])
        print(f"F1 {f1:.3f}, on paper and in service; online against offline: {differences} differences")
        return f"{differences} values differ online." if differences else ""

    def end(self) -> str:
        honest = f"F1 {self._honest:.3f} with the five features"
        self._split = None
        return honest

    def _f1(
        self, split: Split, names: list[str] | tuple[str, ...], live: pd.DataFrame | None = None
    ) -> tuple[float, float]:
        """F1 on the test week as it lies in the file, and as it would be in service."""
        booster = train_xgboost(split, names)
        threshold = best_threshold(split.validation["is_fraud"], predict(booster, split.validation))
        weeks = (split.test, split.test if live is None else live)
        on_paper, in_service = (evaluate(week, predict(booster, week), threshold).f1 for week in weeks)
        return on_paper, in_service

    def _changed_without_the_future(self, spec: FeatureSpec, column: pd.Series) -> int:
        """The number of values of the customers' payments that need labels of a later time than their own day's."""
        transactions = self._stream.transactions
        now_us = int(transactions.loc[transactions["transaction_id"] == SIXTH, "event_time_us"].iloc[0])
        before = transactions[transactions["event_time_us"] <= now_us]
        then = offline_features(before, spec, labels=labels_known_by(self._stream.labels, now_us))[spec.names[0]]
        now = column.iloc[: len(before)].to_numpy()
        return int((then.fillna(-1).to_numpy() != pd.Series(now).fillna(-1).to_numpy()).sum())

    def _differences_online(self, spec: FeatureSpec, column: pd.Series) -> int:
        frauds = self._enriched.loc[self._enriched["is_fraud"] == 1, "user_id"]
        values = online_values(self._stream, spec, set(frauds.unique()[:CUSTOMERS]))
        offline = column.loc[values.index]
        return int((values.fillna(-1) != offline.fillna(-1)).sum())


LAB = Lab(
    number=5,
    notebook=3,
    title="A leak that looks backwards",
    steady=Step(
        """A model of the brief's five features, trained and judged as above. All is well when F1 on paper is what
the service would reach.""",
        """from capstone_utils.course.labs.serving.leak import Leak

lab = Leak(stream, enriched)
lab.steady()""",
    ),
    hypothesis=Step(
        """A colleague adds a column that looks **only backwards**: the share of fraud among the customer's other
payments of the last 24 hours. The split stays honest. What will F1 be in service?""",
        "expected = None  # <- your guess: F1 in service, from 0 to 1",
    ),
    broken=Step("One column more, computed on the file of today.", "lab.break_it()"),
    watch=Step(
        "Watch F1 in service, and the column of one payment: in the file, and as it was known that minute.",
        "lab.watch()",
    ),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Declare the same idea so that it knows nothing too early: a `Window` of `capstone_utils.features.spec`. Its
aggregate is `"fraud_rate"` of `"is_fraud"`, over as many seconds as you like, and its `delay_seconds` gives the labels
time.""",
        "mine = None  # <- Window(name, aggregate, column, seconds, delay_seconds=...)",
    ),
    proof=Step(
        "The check takes the future away, compares online with offline bit for bit, and trains once more.",
        "lab.prove(mine)",
    ),
    lesson="""A **column** can know the future while the split does not. Ask of each value when it was known, not only
when it happened.""",
    solution="""from capstone_utils.features.spec import Window

DAY = 86_400
mine = Window("fraud_rate_14d", "fraud_rate", "is_fraud", 14 * DAY, delay_seconds=7 * DAY)""",
    wrong=(
        Wrong(f'{IMPORT}mine = Window("fraud_rate_1d", "fraud_rate", "is_fraud", 86_400)', "give the labels time"),
        Wrong(f'{IMPORT}mine = Window("frauds", "count", "amount_cents", 86_400)', 'with the aggregate "fraud_rate"'),
        Wrong('mine = "fraud_rate_14d"', "The repair is a Window"),
    ),
)
