"""Exercises of notebook 1 on the schema and on what does not fit it."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.transaction import SECOND_US, InvalidTransaction, Transaction

GOOD, BROKEN = 12, 200
AHEAD_US = (
    -20 * SECOND_US,
    -1,
    0,
    1,
    4 * SECOND_US,
    5 * SECOND_US,
    5 * SECOND_US + 1,
    60 * SECOND_US,
    4200 * SECOND_US,
)


def _guard(guard: Callable[[Transaction, int], object], payments: Sequence[Transaction]) -> str | None:
    outcomes = [_refused(guard, payment, ahead) for payment in payments for ahead in AHEAD_US]
    if all(returned is None and not refused for _, returned, refused in outcomes):
        return None
    for ahead, returned, refused in outcomes:
        seconds = ahead / SECOND_US
        if refused and ahead <= 0:
            return f"A payment {-seconds:g} s in the past was refused. Late is allowed, the future is not."
        if refused and ahead == 5 * SECOND_US:
            return "Exactly 5 s ahead was refused. Only more than 5 s is too much."
        if refused and ahead < 5 * SECOND_US:
            return f"{seconds:g} s ahead was refused. 5 s are 5,000,000 here: event_time_us is in microseconds."
        if not refused and ahead > 5 * SECOND_US and not isinstance(returned, tuple):
            return (
                f"The guard returned {returned!r}. Raise InvalidTransaction with field and value: a {returned} is lost."
            )
        if not refused and ahead > 5 * SECOND_US:
            return f"A payment {seconds:g} s ahead of the clock came through."
        if not refused and not isinstance(returned, tuple):
            return "A payment that is fine should be returned."
    return ""


def _refused(guard: Callable[[Transaction, int], object], payment: Transaction, ahead: int) -> tuple[int, object, bool]:
    try:
        return ahead, guard(payment, payment.event_time_us - ahead), False
    except InvalidTransaction:
        return ahead, None, True


def _count_unreadable(count: Callable[[list[bytes]], Any], payments: pd.DataFrame) -> str | None:
    messages = _messages(payments)
    counted = count(messages)
    if counted is None:
        return None
    right = _fields(messages)
    if not isinstance(counted, dict):
        return f"A dictionary is asked for, field to number; this is a {type(counted).__name__}."
    if dict(counted) == dict(right):
        return ""
    if sum(counted.values()) > BROKEN:
        return f"You counted {sum(counted.values())} messages. {BROKEN} cannot be read, the others are fine."
    if len(counted) > len(right):
        return f"{len(counted)} groups: the whole reason holds the value, too. Count `error.field`."
    if sum(counted.values()) < BROKEN:
        return f"You counted {sum(counted.values())} of {BROKEN}. Does your loop go on after an error?"
    return f"The fields are {sorted(right)}; yours are {sorted(map(str, counted))}."


def _messages(payments: pd.DataFrame) -> list[bytes]:
    """Real payments as messages: `GOOD` of them are whole, `BROKEN` are not."""
    wrong: itertools.cycle[tuple[str, Any]] = itertools.cycle(
        [("amount", 0.001), ("timestamp", "yesterday"), ("location", None), ("user_id", -1), ("amount", "free")]
    )
    messages = []
    for number, payment in enumerate(transactions_of(payments.head(GOOD + BROKEN))):
        fields = payment.to_dict()
        if number % 17 or number >= 17 * GOOD:
            field, value = next(wrong)
            fields[field] = fields[field] + value if isinstance(value, float) else value
        messages.append(json.dumps(fields).encode())
    return messages


def _fields(messages: Sequence[bytes]) -> Counter[str]:
    fields: Counter[str] = Counter()
    for message in messages:
        try:
            Transaction.from_json(message)
        except InvalidTransaction as error:
            fields[error.field] += 1
    return fields


EXERCISES = (
    Exercise(
        id="1.4",
        objective="O1.4",
        stars=3,
        task="""A terminal's clock may be fast. Write `guard`: it **returns** the payment, unless its time is more
than five seconds later than `now_us`. Then it **raises** `InvalidTransaction(field, value,
expected)`.""",
        starter="""def guard(payment, now_us):
    return None  # <- the payment, or an error""",
        call='check("1.4", guard, payments=few)',
        solution="""def guard(payment, now_us):
    if payment.event_time_us > now_us + 5_000_000:
        raise InvalidTransaction("event_time_us", payment.event_time_us, "at most 5 s ahead")
    return payment""",
        praise="Ten minutes late is a payment to score. Ten minutes early would make all later ones look late.",
        hints=(
            "`payment.event_time_us` is an integer of microseconds, like `now_us`.",
            "Only the future is refused. A payment of last week passes.",
        ),
        wrong=(
            Wrong(
                """def guard(payment, now_us):
    if abs(payment.event_time_us - now_us) > 5_000_000:
        raise InvalidTransaction("event_time_us", payment.event_time_us, "near")
    return payment""",
                "A payment 20 s in the past was refused.",
            ),
            Wrong(
                """def guard(payment, now_us):
    if payment.event_time_us - now_us > 5:
        raise InvalidTransaction("event_time_us", payment.event_time_us, "near")
    return payment""",
                "4 s ahead was refused. 5 s are 5,000,000 here",
            ),
            Wrong(
                """def guard(payment, now_us):
    return payment.event_time_us <= now_us + 5_000_000 and payment""",
                "The guard returned False.",
            ),
        ),
        check=_guard,
    ),
    Exercise(
        id="1.5",
        objective="O1.4",
        stars=3,
        task="""The check hands 212 messages to your function, and 200 of them cannot be read. Which **field** is
wrong how often? Return a dictionary such as `{'amount': 80}`.""",
        starter="""def count_unreadable(messages):
    return None  # <- field to number""",
        call='check("1.5", count_unreadable, payments=payments)',
        solution="""from collections import Counter


def count_unreadable(messages):
    fields = Counter()
    for message in messages:
        try:
            Transaction.from_json(message)
        except InvalidTransaction as error:
            fields[error.field] += 1
    return fields""",
        praise="Sorted by field, a heap of dead letters says which sender to call.",
        hints=(
            "`Transaction.from_json(message)` raises `InvalidTransaction`.",
            "The error has the field: `error.field`.",
        ),
        wrong=(
            Wrong(
                """def count_unreadable(messages):
    fields = {}
    for message in messages:
        try:
            Transaction.from_json(message)
        except InvalidTransaction as error:
            fields[str(error)] = fields.get(str(error), 0) + 1
    return fields""",
                "41 groups: the whole reason holds the value, too.",
            ),
            Wrong(
                """def count_unreadable(messages):
    fields = {}
    for message in messages:
        field = 'fine'
        try:
            Transaction.from_json(message)
        except InvalidTransaction as error:
            field = error.field
        fields[field] = fields.get(field, 0) + 1
    return fields""",
                "You counted 212 messages.",
            ),
            Wrong(
                """def count_unreadable(messages):
    fields = {}
    for message in messages:
        try:
            Transaction.from_json(message)
        except InvalidTransaction as error:
            fields[error.field] = 1
            break
    return fields""",
                "You counted 1 of 200.",
            ),
        ),
        check=_count_unreadable,
    ),
)
