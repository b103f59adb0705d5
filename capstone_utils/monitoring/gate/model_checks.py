"""Checks of a challenger beside the champion: better or as good, nothing forgotten, calibrated, fast and small."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.monitoring.gate.check import ABOVE_ZERO, Check
from capstone_utils.monitoring.gate.paired import Verdicts, compare
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.store import Models

KIND_FRAUDS = 20  # of one kind among golden users, to say something about it
LOST_RECALL = 0.10
MARGIN = 0.02  # of either: an old champion is replaced by one that is as good within it
KEPT = 0.03  # of recall and precision: so much may be lost where the other one gains
OLD_DAYS = 28  # of the champion, from when on as good is good enough
ROWS_TIMED, ROW_SECONDS = 300, 0.005
MODEL_BYTES = 5_000_000


class Pair(NamedTuple):
    """Both models' verdicts on the same rows of a frame, and a mask of those that are settled."""

    rows: pd.DataFrame
    settled: Booleans
    challenger: Verdicts
    champion: Verdicts

    def compared(self) -> pd.DataFrame:
        """Recall, precision and money of both, and the differences with their intervals."""
        return compare(self.rows, self.settled, self.challenger.alerts, self.champion.alerts)


def gain_checks(compared: pd.DataFrame, champion_days: float) -> list[Check]:
    """The checks on the deciding weeks: better in recall or precision and as good in the other.

    Where the champion is old, as good in both is enough.

    `champion_days` is the champion's age: the days since what it learnt from last.
    """
    refresh = champion_days >= OLD_DAYS
    recall, money, precision = (compared.loc[name] for name in ("recall", "money", "precision"))
    words = "difference of recall or precision, the larger lower 5 % bound"
    words += f"; the champion is {champion_days:.0f} days old" * refresh
    return [
        Check("gain", max(recall["low"], precision["low"]), words, -MARGIN if refresh else ABOVE_ZERO),
        Check("recall_kept", recall["low"], "difference of recall, lower 5 % bound", least=-KEPT),
        Check(
            "money_gain",
            money["difference"] / max(abs(money["champion"]), 1.0),
            "difference of money, beside the champion's",
            -MARGIN if refresh else -0.01,
        ),
        Check("precision_kept", precision["high"], "difference of precision, upper 95 % bound", least=-KEPT),
    ]


def golden_checks(golden: Pair) -> list[Check]:
    """The checks on golden users, whose labels are frozen and whom no challenger has learnt from."""
    compared = golden.compared()
    fraud = golden.rows["is_fraud"].to_numpy() == 1
    brier = [float(np.mean((side.probabilities - fraud) ** 2)) for side in (golden.challenger, golden.champion)]
    expected = float(golden.challenger.probabilities.sum()) / max(int(fraud.sum()), 1)
    return [
        Check("golden_recall", compared.loc["recall", "low"], "difference of recall, lower 5 % bound", least=-0.05),
        Check("golden_precision", compared.loc["precision", "challenger"], "precision", least=0.85),
        Check("golden_alerts", float(golden.challenger.alerts.mean()), "share of alerts", most=0.015),
        Check(
            "kinds", _worst_kind(golden, fraud), "difference of recall in the kind that lost most", least=-LOST_RECALL
        ),
        Check("calibration", expected, "frauds expected by the probabilities, beside those reported", 0.8, 1.3),
        Check("brier", brier[0] / max(brier[1], 1e-12), "mean squared error, beside the champion's", most=1.5),
    ]


def recall_by_kind(golden: Pair) -> pd.DataFrame:
    """A row for each kind of fraud that was named: frauds, and both models' recall."""
    fraud = (golden.rows["is_fraud"].to_numpy() == 1) & (golden.rows["kind"] != "").to_numpy()
    sides = {name: getattr(golden, name).alerts[fraud] for name in ("champion", "challenger")}
    table = pd.DataFrame({"kind": golden.rows["kind"][fraud].to_numpy(), **sides})
    groups = table.groupby("kind")
    return groups[list(sides)].mean().assign(frauds=groups.size())[["frauds", *sides]]


def serving_checks(challenger: Models, champion: Models, size: int, rows: pd.DataFrame) -> list[Check]:
    """The checks of what it costs to serve: seconds a row, beside the champion's, and bytes on disk."""
    fast, usual = _row_seconds(challenger, champion, rows)
    return [
        Check("row_seconds", fast, "seconds of a verdict, median", most=ROW_SECONDS),
        Check("row_seconds_ratio", fast / usual, "the same, beside the champion's", most=2.0),
        Check("bytes", float(size), "bytes on disk", most=MODEL_BYTES),
    ]


def same_as_judged(shipped: Verdicts, judged: Verdicts) -> Check:
    """The alerts of the models that would be published beside those that were compared, on the same rows."""
    ratio = shipped.alerts.sum() / max(int(judged.alerts.sum()), 1)
    return Check("same_as_judged", float(ratio), "alerts, beside those of the models that were compared", 0.75, 1.33)


def _worst_kind(golden: Pair, fraud: Booleans) -> float:
    """The largest loss of recall in a kind that chance does not explain; 0 where there is none."""
    losses = [0.0]
    for kind, counted in recall_by_kind(golden)["frauds"].items():
        rows = fraud & (golden.rows["kind"] == kind).to_numpy()
        if counted >= KIND_FRAUDS:
            sides = (golden.challenger.alerts[rows], golden.champion.alerts[rows])
            recall = compare(golden.rows[rows], golden.settled[rows], *sides).loc["recall"]
            losses.append(recall["difference"] if recall["high"] < 0 else 0.0)
    return float(min(losses))


def _row_seconds(challenger: Models, champion: Models, rows: pd.DataFrame) -> tuple[float, float]:
    """Median seconds of one verdict by each; they take turns, so that other work on the machine hits both."""
    features = rows[list(champion.score.features)].to_numpy(float)[:ROWS_TIMED]
    classifiers = Classifier(challenger), Classifier(champion)
    seconds = np.zeros((len(features), 2))
    for place, row in enumerate(features):
        for side, classifier in enumerate(classifiers):
            began = time.perf_counter()
            classifier.classify(row[None])
            seconds[place, side] = time.perf_counter() - began
    fast, usual = np.median(seconds, axis=0)
    return float(fast), float(usual)
