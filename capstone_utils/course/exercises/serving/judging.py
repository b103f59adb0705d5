"""Exercises of notebook 3 on late labels and on judging a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.ingestion.arrays import Array, Floats
from capstone_utils.serving.training.thresholds import best_threshold

DAY = 16  # of February


def _last_day(answer: float, delay_days: int) -> str:
    messages = {
        DAY - delay_days - 1: "",
        DAY - 1: f"A payment of the {DAY - 1}th has no verdict before the {DAY - 1 + delay_days}nd.",
        DAY - delay_days: f"Of the {DAY - delay_days}th, the last reports may come during the {DAY}th itself.",
        DAY - 2 * delay_days - 1: "One week is enough. You threw a second one away.",
    }
    return messages.get(int(answer), f"Count back {delay_days} whole days from the beginning of the {DAY}th.")


def _figures(figures: Callable[[Any, Any], Any], labels: Array, flags: Array) -> str | None:
    answer = figures(np.array(labels, bool), np.array(flags, bool))
    if answer is None:
        return None
    precision, recall, f1 = (float(value) for value in answer)
    caught = (labels & flags).sum()
    right = float(caught / flags.sum()), float(caught / labels.sum())
    if np.allclose((precision, recall), right[::-1]) and not np.isclose(*right):
        return f"{precision:.3f} is the share of the fraud that was caught: recall. Precision looks at the flags."
    if np.isclose(precision, (labels == flags).mean()):
        return f"{precision:.4f} is accuracy. A model that flags nothing reaches {1 - labels.mean():.4f}."
    if not np.allclose((precision, recall), right):
        return f"Precision is {right[0]:.3f} and recall {right[1]:.3f}; yours are {precision:.3f} and {recall:.3f}."
    if np.isclose(f1, sum(right) / 2) and not np.isclose(f1, f1_score(labels, flags), atol=1e-6):
        return (
            f"{f1:.4f} is the plain mean. F1 is the harmonic one, {f1_score(labels, flags):.4f}: the lower one pulls."
        )
    return "" if np.isclose(f1, f1_score(labels, flags)) else f"F1 is {f1_score(labels, flags):.4f}, not {f1:.4f}."


def _threshold(find: Callable[[Any, Any], float | None], labels: Array, scores: Floats) -> str | None:
    answer = find(np.array(labels, bool), np.array(scores))
    if answer is None:
        return None
    labels = np.asarray(labels, bool)
    best = f1_score(labels, scores >= best_threshold(labels, scores))
    reached = f1_score(labels, scores >= answer)
    if reached >= best - 1e-9:
        return ""
    if f1_score(labels, scores > answer) >= best - 1e-9:
        return f"A payment lies exactly on your threshold. Flag from it on (>=): F1 is {reached:.4f}, not {best:.4f}."
    if np.isclose(answer, best):
        return f"{answer:.3f} is the F1 that the best threshold reaches. Return the threshold."
    return f"{answer:.3f} reaches F1 {reached:.3f} on these weeks; the best one reaches {best:.3f}."


EXERCISES = (
    Exercise(
        id="3.1",
        objective="O3.1",
        stars=2,
        task="""Labels take up to seven days. It is the beginning of 16 February. Up to which day of February, that
one included, do we know **all** labels?""",
        starter="last_day = None  # <- a day of February",
        call='check("3.1", last_day, delay_days=7)',
        solution="last_day = 8  # payments of the 8th ended with it; seven whole days lie between",
        praise="So the freshest week is never in the training data. What is new in it, no model knows.",
        hints=("When is the label of a payment of 9 February at noon known at the latest?",),
        wrong=(
            Wrong("last_day = 15", "A payment of the 15th has no verdict before the 22nd."),
            Wrong("last_day = 9", "Of the 9th, the last reports may come during the 16th itself."),
            Wrong("last_day = 1", "One week is enough."),
        ),
        check=_last_day,
    ),
    Exercise(
        id="3.2",
        objective="O3.2",
        stars=2,
        task="""Judge the model by hand. `labels` and `flags` are arrays of True and False, one value a payment.
Return precision (how many flags are fraud), recall (how much fraud is flagged) and F1.""",
        starter="""def figures(labels, flags):
    return None  # <- (precision, recall, f1)""",
        call='check("3.2", figures, labels=labels, flags=flags)',
        solution="""def figures(labels, flags):
    caught = (labels & flags).sum()
    precision, recall = caught / flags.sum(), caught / labels.sum()
    return precision, recall, 2 * precision * recall / (precision + recall)""",
        praise="Three lines. `evaluate` below does the same, and adds money.",
        hints=(
            "`(labels & flags).sum()` counts what was caught.",
            "F1 = 2 x precision x recall / (precision + recall).",
        ),
        wrong=(
            Wrong(
                """def figures(labels, flags):
    caught = (labels & flags).sum()
    recall, precision = caught / flags.sum(), caught / labels.sum()
    return precision, recall, 2 * precision * recall / (precision + recall)""",
                "recall. Precision looks at the flags.",
            ),
            Wrong(
                """def figures(labels, flags):
    right = (labels == flags).mean()
    return right, right, right""",
                "is accuracy.",
            ),
            Wrong(
                """def figures(labels, flags):
    caught = (labels & flags).sum()
    precision, recall = caught / flags.sum(), caught / labels.sum()
    return precision, recall, (precision + recall) / 2""",
                "is the plain mean.",
            ),
        ),
        check=_figures,
    ),
    Exercise(
        id="3.3",
        objective="O3.2",
        stars=2,
        task="""Find the threshold at which F1 is highest on the **validation** week. A payment is flagged when its
score is at least the threshold (`figures` from above may help).""",
        starter="""def find_threshold(labels, scores):
    return None  # <- a score""",
        call='check("3.3", find_threshold, labels=labels, scores=scores)',
        solution="""def find_threshold(labels, scores):
    def f1(threshold):
        flags = scores >= threshold
        return 2 * (labels & flags).sum() / (flags.sum() + labels.sum())

    return max(scores[labels], key=f1)""",
        praise="Chosen on the validation week, so the test week stays unread.",
        hints=(
            "Try candidates, and keep the one with the highest F1.",
            "36,000 candidates are too many. F1 can only be highest at the score of a fraud: `scores[labels]`.",
        ),
        wrong=(
            Wrong(
                """def find_threshold(labels, scores):
    return 0.5""",
                "0.500 reaches F1",
            ),
            Wrong(
                """def find_threshold(labels, scores):
    def f1(threshold):
        flags = scores >= threshold
        return 2 * (labels & flags).sum() / (flags.sum() + labels.sum())
    return max(f1(each) for each in scores[labels])""",
                "is the F1 that the best threshold reaches.",
            ),
            Wrong(
                """def find_threshold(labels, scores):
    def f1(threshold):
        flags = scores >= threshold
        return 2 * (labels & flags).sum() / (flags.sum() + labels.sum())
    best = max(scores[labels], key=f1)
    return scores[scores < best].max()""",
                "A payment lies exactly on your threshold.",
            ),
        ),
        check=_threshold,
        too_slow="Try the scores of frauds only, and count with numpy: F1 = 2 x caught / (flagged + frauds).",
    ),
)
