"""Exercises of notebook 4 on the gate's verdict, and on customers who are refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong, about
from capstone_utils.monitoring.gate.gate import GateReport

TOY_CHECKS = (
    ("at its limit", 0.0, -math.inf, 0.0),
    ("too low", 0.2, 0.5, 1.7),
    ("too high", 0.3, -math.inf, 0.05),
    ("no number", math.nan, 0.5, math.inf),
)


def _refused_by(refused_by: Callable[[Any], Iterable[str] | None], reports: Sequence[GateReport]) -> str | None:
    answer = refused_by(list(TOY_CHECKS))
    if answer is None:
        return None
    names = set(answer)
    if "no number" not in names and names:
        return "A check whose value is no number (NaN) was let through. What cannot be measured cannot be passed."
    if "at its limit" in names:
        return "0 differences, and at most 0 are allowed: that passes. Both limits are included."
    for name, limit in (("too low", "least"), ("too high", "most")):
        if name not in names:
            return f"The check {name!r} was let through. Compare the value with `{limit}`, too."
    for report in reports:
        mine = set(refused_by([(each.name, each.value, each.least, each.most) for each in report.checks]) or ())
        right = {each.name for each in report.failed}
        if mine != right:
            return f"Of this run's challengers one was refused by {sorted(right)}, and you say {sorted(mine)}."
    return ""


def _wronged(wronged: Callable[[pd.DataFrame], float | None], payments: pd.DataFrame) -> str | None:
    answer = wronged(payments.copy())
    if answer is None:
        return None
    honest = payments[payments["honest"]]
    refused = honest.groupby("user_id")["flagged"].any()
    messages = {
        float(refused.mean()): "",
        float(refused.sum()): "That is the number of customers. Which share of all customers is it?",
        float(honest["flagged"].mean()): "That is the share of honest **payments**. How many **customers** felt it?",
        float(payments.groupby("user_id")["flagged"].any().mean()): (
            "You counted customers whose card a thief used, too. Only honest payments that were refused count."
        ),
    }
    return about(answer, messages, 1e-9, f"{answer:.4f}; of {len(refused):,} customers {refused.sum()} were refused.")


EXERCISES = (
    Exercise(
        id="4.7",
        objective="O4.5",
        stars=3,
        task="""Decide as the gate does. `checks` is a list of (name, value, least, most). Return the names of those
that **fail**: the value has to lie between both limits, and may be equal to one. The check tries a toy, and then both
challengers of this run.""",
        starter="""def refused_by(checks):
    return None  # <- names""",
        call='check("4.7", refused_by, reports=[passed, poisoned])',
        solution="""def refused_by(checks):
    return [name for name, value, least, most in checks if not least <= value <= most]""",
        praise="One check that fails is enough. A gate that may be outvoted is none.",
        hints=("`least <= value <= most` is True when it passes.", "A comparison with NaN is always False."),
        wrong=(
            Wrong(
                """def refused_by(checks):
    return [name for name, value, least, most in checks if value < least or value > most]""",
                "no number (NaN) was let through.",
            ),
            Wrong(
                """def refused_by(checks):
    return [name for name, value, least, most in checks if not least < value < most]""",
                "Both limits are included.",
            ),
            Wrong(
                """def refused_by(checks):
    return [name for name, value, least, most in checks if not value <= most]""",
                "Compare the value with `least`, too.",
            ),
        ),
        check=_refused_by,
    ),
    Exercise(
        id="4.8",
        objective="O4.1",
        stars=2,
        task="""Small shares of payments. But how many **customers** felt it? `week` has a row a payment, with
`user_id`, `honest` and `flagged`. Return the share of customers of whom at least one honest payment was flagged.""",
        starter="""def wronged_customers(payments):
    return None  # <- between 0 and 1""",
        call='check("4.8", wronged_customers, payments=week)',
        solution="""def wronged_customers(payments):
    honest = payments[payments["honest"]]
    return honest.groupby("user_id")["flagged"].any().mean()""",
        praise="People count refusals, not percentages. This share is what the hotline hears.",
        hints=('`payments[payments["honest"]]` keeps the honest ones.', '`.groupby("user_id")["flagged"].any()`'),
        wrong=(
            Wrong(
                """def wronged_customers(payments):
    return payments.loc[payments["honest"], "flagged"].mean()""",
                "That is the share of honest **payments**.",
            ),
            Wrong(
                """def wronged_customers(payments):
    return payments.groupby("user_id")["flagged"].any().mean()""",
                "You counted customers whose card a thief used, too.",
            ),
            Wrong(
                """def wronged_customers(payments):
    honest = payments[payments["honest"]]
    return honest.groupby("user_id")["flagged"].any().sum()""",
                "That is the number of customers.",
            ),
        ),
        check=_wronged,
    ),
)
