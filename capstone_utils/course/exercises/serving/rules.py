"""Exercises of notebook 3 on a rule of one's own and on surprise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.serving.training.splits import Split

ONLY_LATER = ("is_fraud", "label_known_at")
looks = 0  # at the test week, with a rule that was good enough on the validation week


def _rule(rule: Callable[[pd.DataFrame], Any], split: Split, to_beat: float) -> str | None:
    global looks
    visible = split.validation.drop(columns=list(ONLY_LATER))
    try:
        flags = rule(visible)
    except KeyError as error:
        return f"At the till there is no column {error}: {LABEL_DELAY_DAYS} days later there is."
    if flags is None:
        return None
    flags = np.asarray(flags, bool)
    if len(flags) != len(visible):
        return f"One flag a payment: {len(visible):,} are asked for, yours are {len(flags):,}."
    reached = f1_score(split.validation["is_fraud"], flags)
    if reached <= to_beat:
        missed = int((split.validation["is_fraud"].to_numpy(bool) & ~flags).sum())
        false = int((~split.validation["is_fraud"].to_numpy(bool) & flags).sum())
        what = f"{missed} frauds missed, {false} false flags"
        return f"F1 {reached:.3f} on the validation week, to beat: {to_beat:.3f}. {what}."
    looks += 1
    test = f1_score(split.test["is_fraud"], np.asarray(rule(split.test.drop(columns=list(ONLY_LATER))), bool))
    if looks > 1:
        print(f"This was look number {looks} at the test week: choose by the validation week.")
    return "" if test > to_beat else f"F1 {reached:.3f} on validation, but {test:.3f} on the test week: luck, it seems."


def _surprise(surprise: Callable[[float, Any], float | None], honest: Floats) -> str | None:
    values = [float(np.median(honest)), float(np.quantile(honest, 0.99)), float(honest.max()), float(honest.max()) + 1]
    answers = [surprise(value, np.array(honest)) for value in values]
    if all(answer is None for answer in answers):
        return None
    for value, answer in zip(values, answers, strict=True):
        share = ((honest >= value).sum() + 1) / (len(honest) + 2)
        low = ((honest <= value).sum() + 1) / (len(honest) + 2)
        if answer is not None and np.isclose(answer, -np.log(share)):
            continue
        if answer is not None and np.isclose(answer, np.log(share)):
            return f"{answer:.2f} for the value {value:g}: negative. The rarer, the **greater** the surprise."
        if answer is not None and np.isclose(answer, -np.log(low)):
            return (
                f"{answer:.2f} for the value {value:g}: you counted those below. Large values are the suspicious ones."
            )
        if answer is None or not np.isfinite(answer):
            return f"{answer} for {value:g}, which no honest payment had. Add 1 to the count and 2 to the number."
        return f"{answer:.2f} for the value {value:g}; right is {-np.log(share):.2f}."
    return ""


EXERCISES = (
    Exercise(
        id="3.7",
        objective="O3.2",
        stars=4,
        task="""Write a rule of **two or three features** that beats the best single rule. It takes a frame of
payments and returns one flag a payment. It is judged on the validation week first, and on the test week only if
it is good there.""",
        starter="""def rule(payments):
    return None  # <- True where you would look""",
        call='check("3.7", rule, split=split, to_beat=judged["best single rule"].f1)',
        solution="""def rule(payments):
    burst = payments["unique_merchants_1h"] >= 5
    return burst | (payments["is_new_merchant"] == 1) & (payments["amount_ratio"] > 6)""",
        praise="Three features and two thoughts. Now you know what the model's trees do all day.",
        hints=(
            "Which scenarios are there? Card tests come in bursts; a takeover is a large amount at a new shop.",
            "Combine conditions with `&` (and) and `|` (or), each in brackets.",
        ),
        wrong=(
            Wrong(
                """def rule(payments):
    return payments["amount"] > 500""",
                "on the validation week, to beat",
            ),
            Wrong(
                """def rule(payments):
    return payments["is_fraud"] == 1""",
                "At the till there is no column 'is_fraud'",
            ),
            Wrong(
                """def rule(payments):
    return [True]""",
                "One flag a payment",
            ),
        ),
        check=_rule,
    ),
    Exercise(
        id="3.8",
        objective="O3.4",
        stars=2,
        task="""How surprising is one value? Write -log of the share of `honest` values that are **at least** as
large. No value may surprise without an end: add 1 to the count and 2 to the number of values.""",
        starter="""def surprise(value, honest):
    return None  # <- 0 or more""",
        call='check("3.8", surprise, honest=honest)',
        solution="""def surprise(value, honest):
    return -np.log(((honest >= value).sum() + 1) / (len(honest) + 2))""",
        praise="The fallback adds this up over all features, on whichever side the value lies.",
        hints=(
            "`(honest >= value).sum()` counts.",
            "A share is at most 1, so its logarithm is at most 0: put a minus.",
        ),
        wrong=(
            Wrong(
                """def surprise(value, honest):
    return np.log(((honest >= value).sum() + 1) / (len(honest) + 2))""",
                "negative. The rarer",
            ),
            Wrong(
                """def surprise(value, honest):
    return -np.log(((honest <= value).sum() + 1) / (len(honest) + 2))""",
                "you counted those below.",
            ),
            Wrong(
                """def surprise(value, honest):
    count = (honest >= value).sum()
    return -np.log((count + 1) / (len(honest) + 2)) if count else float('inf')""",
                "inf for ",
            ),
        ),
        check=_surprise,
    ),
)
