"""Pictures of notebook 3 on honest figures: leaks, later weeks, cleverer thieves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xgboost as xgb
from matplotlib.figure import Figure

from capstone_utils.course.figures.style import AMBER, BLUE, GREEN, MUTED, RED, describe
from capstone_utils.serving.evaluation.leave_scenario_out import LeftOut


def draw_leak(f1: Mapping[str, float], goal: float = 0.9) -> Figure:
    """F1 as three bars: honest, with the leak on paper, with the leak in service."""
    figure, axes = plt.subplots(figsize=(9, 2.4))
    bars = axes.barh(list(f1), list(f1.values()), color=[GREEN, RED, MUTED], height=0.6)
    axes.bar_label(bars, [f"{value:.3f}" for value in f1.values()], padding=4)
    axes.axvline(goal, color=RED, linestyle="--")
    axes.text(goal, -0.62, f" goal {goal}", color=RED, fontsize=9, va="center")
    axes.invert_yaxis()
    axes.set(title="One leaking column, and F1 jumps over the goal", xlabel="F1 on the test week", xlim=(0, 1.12))
    said = ", ".join(f"{name} {value:.3f}" for name, value in f1.items())
    return describe(figure, f"Three bars of F1: {said}; the goal is {goal}.")


def draw_weeks(weeks: pd.DataFrame, goal: float = 0.9) -> Figure:
    """F1 of each test week: trained anew, and trained only once."""
    figure, axes = plt.subplots(figsize=(9, 2.8))
    days = [str(week) for week in weeks.index]
    for name, color, style in (("trained anew", BLUE, "-"), ("trained once", AMBER, "--")):
        axes.plot(days, weeks[name], style, marker="o", color=color, label=name)
    axes.axhline(goal, color=RED, linestyle=":", label=f"goal {goal}")
    lowest = min(weeks[["trained anew", "trained once"]].to_numpy().min(), goal)
    axes.set(
        title="F1, week after week",
        xlabel="test week from",
        ylabel="F1 of the test week",
        ylim=(max(lowest - 0.08, 0), 1),
    )
    axes.legend(ncols=3, fontsize=9, loc="lower right")
    return describe(figure, f"F1 of {len(days)} test weeks as two lines: trained anew each week, and trained once.")


def draw_difficulty(f1: pd.DataFrame, goal: float = 0.9) -> Figure:
    """F1 by the simulator's difficulty, one line per column."""
    figure, axes = plt.subplots(figsize=(9, 2.8))
    for name, color in zip(f1, (BLUE, AMBER, MUTED), strict=False):
        axes.plot(f1.index, f1[name], marker="o", color=color, label=name)
    axes.axhline(goal, color=RED, linestyle=":", label=f"goal {goal}")
    axes.set(title="Cleverer thieves, models trained anew", xlabel="difficulty", ylabel="F1", ylim=(0, 1))
    axes.legend(ncols=4, fontsize=9, loc="lower left")
    return describe(
        figure, f"F1 on {', '.join(map(str, f1.index))} thieves, a line each for {', '.join(map(str, f1))}."
    )


def draw_left_out(results: Sequence[LeftOut]) -> Figure:
    """Recall on scenarios unseen in training, without and with the fallback, at equal flags."""
    figure, axes = plt.subplots(figsize=(9, 3))
    place = np.arange(len(results))
    for shift, name, values, color in (
        (-0.2, "model alone", [each.recall_alone for each in results], MUTED),
        (0.2, "model and fallback", [each.recall for each in results], GREEN),
    ):
        bars = axes.bar(place + shift, values, 0.36, color=color, label=f"{name}, as many flags")
        axes.bar_label(bars, [f"{value:.0%}" for value in values], padding=2, fontsize=9)
    axes.set_xticks(place, [each.scenario.replace("_", "\n") for each in results])
    axes.set(title="A kind of fraud that training never saw", ylabel="share caught", ylim=(0, 1.1))
    axes.legend(fontsize=9)
    said = ", ".join(
        f"{each.scenario.replace('_', ' ')} {each.recall_alone:.0%} and {each.recall:.0%}" for each in results
    )
    return describe(figure, f"Share caught of fraud unseen in training, model alone and with the fallback: {said}.")


def draw_calibration(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Share of fraud against mean probability, one line per model.

    On the diagonal, probabilities can be believed.
    """
    figure, axes = plt.subplots(figsize=(5.2, 4))
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":")
    for name, table in tables.items():
        axes.plot(table["mean_score"], table["share_of_fraud"], marker="o", label=name)
    axes.set(title="Can the probability be believed?", xlabel="probability, mean of a bin", ylabel="share of fraud")
    axes.legend(fontsize=9)
    return describe(
        figure, f"Share of fraud against stated probability for {' and '.join(tables)}, beside the diagonal."
    )


def draw_contributions(booster: xgb.Booster, rows: pd.DataFrame, most: int = 10) -> Figure:
    """The features' contributions to the log-odds: one dot per row, red for high values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about progress bars in notebooks
        import shap  # takes seconds

    names = list(booster.feature_names or ())
    parts = booster.predict(xgb.DMatrix(rows[names], feature_names=names), pred_contribs=True)
    explanation = shap.Explanation(parts[:, :-1], parts[:, -1], rows[names].to_numpy(float), feature_names=names)
    figure = plt.figure()
    shap.plots.beeswarm(explanation, max_display=most, show=False, plot_size=(9, 4.2), group_remaining_features=False)
    axes = plt.gca()
    axes.set_xlabel("towards legitimate  <-  log-odds  ->  towards fraud", fontsize=10)
    axes.set_title("What pushed the verdicts")
    axes.tick_params(labelsize=9.5)
    return describe(
        figure, f"A dot a payment for each of the {most} features that move the verdict most, by contribution."
    )
