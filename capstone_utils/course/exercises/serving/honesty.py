"""Exercises of notebook 3 on leaks, on scenarios and on prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong, about

HEAD = 60_000  # payments from which the candidates are computed; the future is what lies behind the first half


Candidates = Mapping[str, Callable[[pd.DataFrame], "pd.Series[Any]"]]


def _price(answer: float, review: float, insult: float, missed: float, of_f1: float) -> str:
    right = (review + insult) / (missed + insult)
    messages = {
        right: "",
        review
        / missed: f"Right if a false alarm cost only the review. {insult:g} come on top for each honest customer.",
        1 - right: "That is the probability of being honest.",
        of_f1: "That is the threshold for F1, and F1 knows no prices.",
        (review + insult) / missed: "An honest customer is insulted only when the payment is honest: times (1 - p).",
    }
    costs = f"At p = {answer:g} looking costs {review + (1 - answer) * insult:.2f}, missing {missed * answer:.2f}."
    return about(answer, messages, 0.001, costs)


def _leaks(answer: set[str], candidates: Candidates, frame: pd.DataFrame) -> str | None:
    if not answer:
        return None
    past = frame.head(HEAD // 2)
    right = {name for name, make in candidates.items() if _changes(make, frame.head(HEAD), past)}
    if set(answer) == right:
        return ""
    innocent = sorted(set(answer) - right)
    if set(answer) == set(candidates):
        return f"{len(innocent)} of them do not change when the future is taken away."
    if innocent:
        return f"{innocent[0]} has the same values when the future is gone. A suspicious name is no proof."
    return f"{len(right) - len(answer)} more: which value of the first half changes when the second half is gone?"


def _changes(make: Callable[[pd.DataFrame], pd.Series[Any]], whole: pd.DataFrame, past: pd.DataFrame) -> bool:
    return not make(whole).iloc[: len(past)].reset_index(drop=True).equals(make(past).reset_index(drop=True))


def _scenario(answer: tuple[str, float], table: pd.DataFrame) -> str:
    name, points = answer
    full, five = (100 * table[f"recall, {each}"] for each in ("full set", "brief's five"))
    lost = full - five
    right = str(lost.idxmax())
    if name not in lost.index:
        return f"The scenarios are {', '.join(map(str, lost.index))}."
    if name != right:
        return f"Another one: {name} loses {lost[name]:.0f} points, the worst one {lost[right]:.0f}."
    if abs(points - lost[right]) < 1:
        return ""
    if min(abs(points - full[right]), abs(points - five[right])) < 1:
        return "That is a recall. How much lower is that of the five than that of the full set?"
    if abs(points - 100 * lost[right] / full[right]) < 1:
        return "That is per cent of the recall. Percentage points are asked for: take one from the other."
    return f"{points:g} points are not it. Take the recall of the five from that of the full set, times 100."


EXERCISES = (
    Exercise(
        id="3.4",
        objective="O3.3",
        stars=3,
        task="""Six candidates for a feature. Which ones know the future? Compute each on `whole` and on its first
half alone, and compare the first half's values.""",
        starter="leaks = set()  # <- names",
        call='check("3.4", leaks, candidates=candidates, frame=enriched)',
        solution="""whole = enriched.head(60_000)
half = whole.head(30_000)
leaks = {name for name, make in candidates.items() if not make(whole).head(30_000).equals(make(half))}""",
        praise="Both use the whole of something: all of the customer's payments, all of the shop's.",
        hints=(
            "`make(whole).head(len(half))` against `make(half)`: `.equals` compares.",
            "Two of the six change.",
        ),
        wrong=(
            Wrong('leaks = {"merchant risk"}', "merchant risk has the same values when the future is gone."),
            Wrong('leaks = {"own mean"}', "1 more"),
            Wrong("leaks = set(candidates)", "4 of them do not change"),
        ),
        check=_leaks,
    ),
    Exercise(
        id="3.5",
        objective="O3.2",
        stars=3,
        task="""Which scenario do the five features miss **most**, beside the full set, and by how many percentage
points of recall?""",
        starter="missed_most = None  # <- (scenario, points)",
        call='check("3.5", missed_most, table=table)',
        solution="""lost = table["recall, full set"] - table["recall, brief's five"]
missed_most = (lost.idxmax(), 100 * lost.max())""",
        praise="A cloned card buys for hours, five minutes at a time.",
        hints=(
            "Take one column of the table from the other.",
            "Recall 0.90 less recall 0.60 is 30 percentage points.",
        ),
        wrong=(
            Wrong(
                """lost = table["recall, full set"] - table["recall, brief's five"]
missed_most = (lost.idxmin(), 100 * lost.max())""",
                "Another one",
            ),
            Wrong(
                """worst = (table["recall, full set"] - table["recall, brief's five"]).idxmax()
missed_most = (worst, 100 * table["recall, full set"][worst])""",
                "That is a recall.",
            ),
            Wrong('missed_most = ("cloning", 60)', "The scenarios are"),
        ),
        check=_scenario,
    ),
    Exercise(
        id="3.6",
        objective="O3.2",
        stars=2,
        task="""To look at a payment costs 5. If it was honest, its customer is insulted, which costs 10 more. A
missed fraud costs 175 on average. From which **probability** p on is looking worth its price?""",
        starter="p = None  # <- a number between 0 and 1",
        call='check("3.6", p, review=5, insult=10, missed=175, of_f1=full.model.threshold)',
        solution="p = (5 + 10) / (175 + 10)  # p * 175 = 5 + (1 - p) * 10",
        praise="The dearer a miss, the lower the bar for a second look. A bank would use this one, not F1's.",
        hints=(
            "Missing costs p x 175.",
            "Looking costs 5, and 10 more with probability 1 - p.",
        ),
        wrong=(
            Wrong("p = 5 / 175", "Right if a false alarm cost only the review."),
            Wrong("p = 0.919", "That is the probability of being honest."),
            Wrong("p = full.model.threshold", "That is the threshold for F1"),
        ),
        check=_price,
    ),
)
