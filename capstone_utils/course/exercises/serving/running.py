"""Exercises of notebook 3 on throughput and on crashes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from capstone_utils.course.exercises.exercise import Exercise, Wrong, about

ORDERS = {
    "commit, then work": ("commit", "work"),
    "work, then commit": ("work", "commit"),
    "both in one step": ("commit and work",),
}


BATCHES = 3  # payments in the toy stream, one a batch


def _slowest(slowest: Callable[[list[int], int], float | None], per_second: Sequence[int], goal: int) -> str | None:
    toy = [1_200, 1_100, 900, 700, 1_000, 1_000, 1_500, 1_200, 1_100, 300]  # the last second is not a full one
    for counts in (toy, list(per_second)):
        answer = slowest(list(counts), 5)
        if answer is None:
            return None
        whole = counts[:-1]
        means = [float(np.mean(whole[first : first + 5])) for first in range(len(whole) - 4)]
        messages = {
            float(np.mean(counts[-5:])): "The last second is not a full one: leave it out.",
            float(min(whole)): "That is the slowest single second. Its edges fall by chance; take five in a row.",
            float(np.mean(whole)): "That is the mean of all. A pause of seconds hides in it.",
            float(np.mean(sorted(whole)[:5])): "Those five did not follow each other. Take five in a row.",
        }
        if abs(answer - min(means)) < 1e-9:
            continue
        otherwise = f"{answer:g} is not it for {counts}: the slowest five in a row have {min(means):g}."
        return about(answer, messages, 1e-9, otherwise)
    return ""


def _lost_and_twice(answer: Mapping[str, tuple[int, int] | None]) -> str | None:
    if all(each is None for each in answer.values()):
        return None
    reasons = {
        "commit, then work": "A crash between commit and work: who does that payment again?",
        "work, then commit": "A crash between work and commit: the payment is read again, and its work is done again.",
        "both in one step": "Both or neither: that is what one step means.",
    }
    for order in ORDERS:
        right = max(_crash(order, moment) for moment in range(BATCHES * 2 + 1))
        if answer.get(order) is None or tuple(answer[order] or ()) != right:
            return f"{order}: not {answer.get(order)}. {reasons[order]}"
    return ""


def _crash(order: str, moment: int) -> tuple[int, int]:
    """Payments lost, and done twice, by a consumer that crashes once after `moment` actions and starts again."""
    committed, done, actions = 0, [0] * BATCHES, 0
    position = committed
    while position < BATCHES:
        for action in ORDERS[order]:
            if actions == moment:
                actions, position = -10_000, committed  # the crash: only what was committed is known
                break
            actions += 1
            done[position] += "work" in action
            committed = position + 1 if "commit" in action else committed
        else:
            position += 1
    return sum(count == 0 for count in done), sum(count > 1 for count in done)


EXERCISES = (
    Exercise(
        id="3.11",
        objective="O3.7",
        stars=2,
        task="""How slow were the slowest five seconds **in a row**? `per_second` counts payments by second. The
last second is not a full one, so it does not count. The check tries a toy and this run.""",
        starter="""def slowest_in_a_row(per_second, seconds):
    return None  # <- payments a second""",
        call='check("3.11", slowest_in_a_row, per_second=live.per_second, goal=GOAL)',
        solution="""def slowest_in_a_row(per_second, seconds):
    whole = per_second[:-1]
    starts = range(len(whole) - seconds + 1)
    return min(sum(whole[first : first + seconds]) / seconds for first in starts)""",
        praise="An average over the run hides a pause; a single second shows only where its edges fell.",
        hints=(
            "`per_second[:-1]` leaves the last one out.",
            "`whole[first : first + seconds]` is one stretch; try each.",
        ),
        wrong=(
            Wrong(
                """def slowest_in_a_row(per_second, seconds):
    return min(per_second[:-1])""",
                "That is the slowest single second.",
            ),
            Wrong(
                """def slowest_in_a_row(per_second, seconds):
    n = len(per_second) - seconds + 1
    return min(sum(per_second[i : i + seconds]) / seconds for i in range(n))""",
                "The last second is not a full one",
            ),
            Wrong(
                """def slowest_in_a_row(per_second, seconds):
    return sum(per_second[:-1]) / len(per_second[:-1])""",
                "That is the mean of all.",
            ),
        ),
        check=_slowest,
    ),
    Exercise(
        id="3.12",
        objective="O3.8",
        stars=3,
        task="""A consumer takes one payment at a time, works on it and commits its offset. It crashes **once**, at
the worst moment, and starts again at the last commit. How many payments are lost, and how many done
twice, for each order?""",
        starter='worst = {"commit, then work": None, "work, then commit": None, "both in one step": None}',
        call='check("3.12", worst)',
        solution='worst = {"commit, then work": (1, 0), "work, then commit": (0, 1), "both in one step": (0, 0)}',
        praise="At most once, at least once, and the third: the worker writes scores and offsets in one step.",
        hints=(
            "Each value is a pair: (lost, twice).",
            "Where may the crash fall between the two actions?",
        ),
        wrong=(
            Wrong(
                'worst = {"commit, then work": (0, 0), "work, then commit": (0, 1), "both in one step": (0, 0)}',
                "commit, then work: not (0, 0). A crash between commit and work",
            ),
            Wrong(
                'worst = {"commit, then work": (1, 0), "work, then commit": (0, 0), "both in one step": (0, 0)}',
                "work, then commit: not (0, 0). A crash between work and commit",
            ),
            Wrong(
                'worst = {"commit, then work": (1, 0), "work, then commit": (0, 1), "both in one step": (0, 1)}',
                "both in one step: not (0, 1). Both or neither",
            ),
        ),
        check=_lost_and_twice,
    ),
)
