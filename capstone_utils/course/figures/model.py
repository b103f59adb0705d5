"""Pictures of notebook 3: labels that come late, honest curves, money and latency."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, INK, MUTED, PURPLE, RED, describe
from capstone_utils.ingestion.arrays import Array
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.serving.evaluation.costs import COSTS, Costs
from capstone_utils.serving.evaluation.evaluation import Evaluation
from capstone_utils.serving.training.splits import Split
from capstone_utils.transaction import DAY_SECONDS

PARTS = (("train", BLUE), ("validation", AMBER), ("test", GREEN))


def draw_label_arrival(days: Array) -> Figure:
    """The share of reported frauds known by days after the payment."""
    figure, axes = plt.subplots(figsize=(9, 2.6))
    ordered = np.sort(days)
    axes.step(ordered, np.arange(1, len(ordered) + 1) / len(ordered), color=RED)
    axes.axvline(LABEL_DELAY_DAYS, color=MUTED, linestyle=":")
    axes.text(LABEL_DELAY_DAYS, 0.05, "presumed legitimate from here on ", color=MUTED, ha="right", fontsize=9)
    axes.set(
        title="When the bank learns of a fraud", xlabel="days after the payment", ylabel="share known", ylim=(0, 1)
    )
    half = float(np.median(days))
    return describe(
        figure, f"Share of reported frauds known by days after the payment; half are known after {half:.1f} days."
    )


def draw_split(frame: pd.DataFrame, split: Split) -> Figure:
    """Payments per day: parts in colour, warm-up and label-delay gaps in grey."""
    figure, axes = plt.subplots(figsize=(9, 2.4))
    midnight = frame["timestamp"].iloc[0] // DAY_SECONDS

    def daily(part: pd.DataFrame) -> pd.Series:
        return (part["timestamp"] // DAY_SECONDS - midnight).astype(int).value_counts().sort_index()

    whole = daily(frame)
    axes.bar(whole.index, whole, width=0.9, color="#d5dbe1", label="warm-up, gaps, labels still to come")
    for name, color in PARTS:
        part = daily(getattr(split, name))
        axes.bar(part.index, part, width=0.9, color=color, label=name)
    axes.set(title="Past, gap, future: nothing is shuffled", xlabel="day of the stream", ylabel="payments a day")
    axes.set_ylim(0, whole.max() * 1.35)
    axes.legend(ncols=4, fontsize=8.5, loc="upper center")
    return describe(
        figure, "Payments a day: warm-up, training weeks, a gap, a validation week, a gap, a test week, the rest."
    )


def draw_precision_recall(labels: Array, scores: Mapping[str, Array], chosen: str, evaluation: Evaluation) -> Figure:
    """Precision against recall on the test weeks, with the chosen working point."""
    figure, axes = plt.subplots(figsize=(9, 4.2))
    for name, values in scores.items():
        precision, recall, _ = precision_recall_curve(labels, values)
        axes.plot(recall, precision, linewidth=2.4 if name == chosen else 1.2, label=name)
    axes.plot(evaluation.recall, evaluation.precision, "o", color="black", markersize=8)
    note = f"threshold from validation\nF1 {evaluation.f1:.3f}"
    axes.annotate(
        note,
        (evaluation.recall, evaluation.precision),
        xytext=(0.06, 0.14),  # below the curves
        textcoords="axes fraction",
        arrowprops={"arrowstyle": "->", "color": INK, "shrinkB": 6},
    )
    axes.set(
        title="Precision against recall, test week", xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.03)
    )
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    return describe(
        figure,
        f"Precision against recall, a line a model; a dot marks {chosen} at precision {evaluation.precision:.2f} and "
        f"recall {evaluation.recall:.2f}.",
    )


def draw_cost(test: pd.DataFrame, scores: Array, threshold: float, costs: Costs = COSTS) -> Figure:
    """The money lost to missed fraud, reviews and insulted customers, by number of payments flagged."""
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
    together, ours = sum(lost.values()), int((scores >= threshold).sum())
    axes.plot(alerts[:most], together[:most], color="black", linewidth=2, label="together")
    axes.axvline(ours, color=BLUE, linestyle="--", label="our threshold")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set(title="What the test week costs", xlabel="payments flagged", ylabel="dollars")
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1, 0.5))
    cheapest = int(alerts[np.argmin(together)])
    low, high = max(min(ours, cheapest) - 60, 1), min(max(ours, cheapest) + 60, most)
    near = axes.inset_axes((0.5, 0.6, 0.46, 0.33))
    near.plot(alerts[low:high], together[low:high], color="black", linewidth=2)
    near.axvline(ours, color=BLUE, linestyle="--")
    near.plot(cheapest, together[cheapest - 1], "o", color=RED)
    near.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    near.set_title("near the cheapest (dot)", fontsize=9)
    near.tick_params(labelsize=8)
    return describe(
        figure, f"Dollars lost by the number of payments flagged; cheapest at {cheapest}, our threshold flags {ours}."
    )
