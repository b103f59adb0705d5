"""Pictures of notebook 3: labels that come late, honest curves, money and latency."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, MUTED, PURPLE, RED
from capstone_utils.ingestion.arrays import Array
from capstone_utils.serving.evaluation.evaluation import COSTS, Costs, Evaluation
from capstone_utils.serving.training.splits import Split
from capstone_utils.transaction import DAY_SECONDS

PARTS = (("train", BLUE), ("validation", AMBER), ("test", GREEN))


def draw_label_arrival(days: Array) -> Figure:
    """The share of reported frauds known by days after the transaction."""
    figure, axes = plt.subplots(figsize=(9, 2.6))
    ordered = np.sort(days)
    axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=RED)
    axes.axvline(7, color=MUTED, linestyle=":")
    axes.set(
        title="When the bank learns of a fraud", xlabel="days after the payment", ylabel="share known", ylim=(0, 1)
    )
    return figure


def draw_split(frame: pd.DataFrame, split: Split) -> Figure:
    """Transactions per day: parts in colour, warm-up and label-delay gaps in grey."""
    figure, axes = plt.subplots(figsize=(9, 2.4))
    midnight = frame["timestamp"].iloc[0] // DAY_SECONDS

    def daily(part: pd.DataFrame) -> pd.Series:
        return (part["timestamp"] // DAY_SECONDS - midnight).astype(int).value_counts().sort_index()

    whole = daily(frame)
    axes.bar(whole.index, whole, width=0.9, color="#d5dbe1", label="warm-up, gaps, labels still to come")
    for name, color in PARTS:
        part = daily(getattr(split, name))
        axes.bar(part.index, part, width=0.9, color=color, label=name)
    axes.set(title="Past, gap, future: nothing is shuffled", xlabel="day of the stream", ylabel="transactions a day")
    axes.set_ylim(0, whole.max() * 1.35)
    axes.legend(ncols=4, fontsize=8.5, loc="upper center")
    return figure


def draw_precision_recall(labels: Array, scores: Mapping[str, Array], chosen: str, evaluation: Evaluation) -> Figure:
    """Precision against recall on the test weeks, with the chosen working point."""
    figure, axes = plt.subplots(figsize=(9, 4.2))
    for name, values in scores.items():
        precision, recall, _ = precision_recall_curve(labels, values)
        axes.plot(recall, precision, linewidth=2.4 if name == chosen else 1.2, label=name)
    axes.plot(evaluation.recall, evaluation.precision, "o", color="black", markersize=8)
    note = f"threshold from validation\nF1 {evaluation.f1:.3f}"
    axes.annotate(note, (evaluation.recall, evaluation.precision), xytext=(-130, -50), textcoords="offset points")
    axes.axhline(float(np.mean(labels)), color=MUTED, linestyle=":", label="share of fraud")
    axes.set(title="On weeks that came after", xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03))
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def draw_cost(test: pd.DataFrame, scores: Array, threshold: float, costs: Costs = COSTS) -> Figure:
    """The money lost to missed fraud, reviews and insulted customers, by number of alerts."""
    order = np.argsort(-scores, kind="stable")
    fraud = test["is_fraud"].to_numpy(bool)[order]
    stolen = np.where(fraud, test["amount"].to_numpy()[order], 0.0)
    alerts = np.arange(1, len(order) + 1)
    lost = {
        "fraud missed": stolen.sum() - np.cumsum(stolen),
        f"reviews at {costs.review:.0f} each": costs.review * alerts,
        f"insulted customers at {costs.insult:.0f} each": costs.insult * np.cumsum(~fraud),
    }
    most = max(int(6 * fraud.sum()), 100)
    figure, axes = plt.subplots(figsize=(9, 3.2))
    for (label, money), color in zip(lost.items(), (RED, AMBER, PURPLE), strict=True):
        axes.plot(alerts[:most], money[:most], color=color, label=label)
    axes.plot(alerts[:most], sum(lost.values())[:most], color="black", linewidth=2, label="together")
    axes.axvline(int((scores >= threshold).sum()), color=BLUE, linestyle="--", label="our threshold")
    axes.set(title="What the test weeks cost", xlabel="alerts raised", ylabel="money")
    axes.legend(fontsize=9)
    return figure
