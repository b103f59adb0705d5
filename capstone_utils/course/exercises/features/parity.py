"""Exercises of notebook 2 on the spec, on parity and on what was known when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.features.daily_tables import BASE_RATE, PRIOR_TRANSACTIONS, RISK_DAYS, DailyTable
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.parity import parity_report
from capstone_utils.features.spec import FeatureSpec
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.transaction import DAY_US

NAME, LAST_OF_BURST, IN_TEN_MINUTES = "transaction_count_10m", 310301, 14
AROUND = 1_000  # payments on each side of the burst on which parity is proven
SHOP_DAYS = 50

MayUse = Callable[[int, int, int], bool | None]


def _declared(spec: FeatureSpec, payments: pd.DataFrame) -> str:
    if not isinstance(spec, FeatureSpec):
        return f"A FeatureSpec is asked for; this is a {type(spec).__name__}."
    if NAME not in spec.names:
        return f"The spec declares {', '.join(spec.names) or 'nothing'}; the feature should be called {NAME}."
    place = int(np.flatnonzero(payments["transaction_id"] == LAST_OF_BURST)[0])
    some = payments.iloc[max(place - AROUND, 0) : place + AROUND].reset_index(drop=True)
    online = OnlineFeatures(spec)
    rows = pd.DataFrame([online.update(payment) for payment in transactions_of(some)], columns=spec.names)
    differences = parity_report(rows, offline_features(some, spec), spec.names)["mismatches"].sum()
    if differences:
        return f"Online and offline differ in {differences} values."
    value = rows.loc[some["transaction_id"] == LAST_OF_BURST, NAME].iloc[0]
    window = spec.windows[spec.names.index(NAME)] if len(spec.windows) == len(spec.names) else spec.windows[0]
    if value == IN_TEN_MINUTES and window.aggregate == "count":
        return ""
    if window.key != "user_id":
        return f"Payment {LAST_OF_BURST} gives {value:g}: you count the shop's payments, not the customer's."
    if window.seconds != 600:
        return f"Payment {LAST_OF_BURST} gives {value:g}, not {IN_TEN_MINUTES}: {window.seconds} s are not ten minutes."
    return f"Payment {LAST_OF_BURST} gives {value:g}: that is the {window.aggregate}, not the count."


def _lost(answer: tuple[set[str], set[str]], report: pd.DataFrame) -> str | None:
    once, for_ever = (set(each) for each in answer)
    if not once and not for_ever:
        return None
    wrong = report[report["mismatches"] > 0].set_index("feature")["mismatches"]
    right = set(wrong.index[wrong == 1]), set(wrong.index[wrong > 1])
    if (once, for_ever) == right:
        return ""
    if (for_ever, once) == right:
        often, name = wrong.max(), wrong.idxmax()
        return f"{often} of {report['rows'].max()} rows differ in {name}: is that once?"
    extra = sorted((once | for_ever) - set(wrong.index))
    if extra:
        return f"{extra[0]} does not differ in any row: its window had forgotten the lost payment by then."
    missing = sorted(set(wrong.index) - once - for_ever)
    return f"{missing[0]} is missing." if missing else "One of them stands in the wrong set: see the column mismatches."


def _may_use(may_use: MayUse, payments: pd.DataFrame, labels: pd.DataFrame, table: DailyTable) -> str | None:
    days = payments.assign(day=payments["event_time_us"] // DAY_US)[["transaction_id", "merchant", "day"]]
    fraud = labels[labels["is_fraud"]]
    reports = days.merge(fraud, on="transaction_id").assign(known=lambda frame: frame["known_at_us"] // DAY_US)
    generator = np.random.default_rng(0)
    untried = True
    for row in generator.choice(len(reports), SHOP_DAYS, replace=False):
        shop, known = str(reports["merchant"].iloc[row]), int(reports["known"].iloc[row])
        there = reports[reports["merchant"] == shop][["day", "known"]].itertuples(index=False)
        events = [(int(event), int(report)) for event, report in there]
        for day in (known, known + 1, known + RISK_DAYS):
            said = [may_use(event, report, day) for event, report in events]
            untried &= all(each is None for each in said)
            right = [day - RISK_DAYS <= event < day and report < day for event, report in events]
            _compare(right, shop, day, days, table)
            if not untried and [bool(each) for each in said] != right:
                return _why(events, said, right, day)
    return None if untried else ""


def _compare(right: list[bool], shop: str, day: int, days: pd.DataFrame, table: DailyTable) -> None:
    """Hold the rule itself to the batch table: the same count gives the same risk."""
    if day - table.first_day >= len(table.values):
        return
    sold = int(((days["merchant"] == shop) & (days["day"] >= day - RISK_DAYS) & (days["day"] < day)).sum())
    risk = (sum(right) + PRIOR_TRANSACTIONS * BASE_RATE) / (sold + PRIOR_TRANSACTIONS)
    if abs(risk - table.lookup(day * DAY_US, shop)) > 1e-12:
        raise AssertionError(f"the table says {table.lookup(day * DAY_US, shop)} for {shop}, the rule {risk}")


def _why(events: list[tuple[int, int]], said: list[bool | None], right: list[bool], day: int) -> str:
    event, known = next(pair for pair, mine, truth in zip(events, said, right, strict=True) if bool(mine) != truth)
    times = f"A fraud of day {event}, reported on day {known}"
    if event < day - RISK_DAYS:
        return f"{times}, counts no more on day {day}: the table looks back {RISK_DAYS} days."
    if known == day:
        return f"{times}, is not in the table of day {day}, which is made when that day begins."
    if known > day:
        return f"{times}, was not known on day {day}. 310285 happened on 6 March and was reported on the 9th."
    return f"{times}, should count on day {day}."


EXERCISES = (
    Exercise(
        id="2.3",
        objective="O2.4",
        stars=3,
        task="One payment was lost. Which features are wrong **once**, and which from then on **for ever**?",
        starter="once, for_ever = set(), set()  # <- names of features",
        call='check("2.3", (once, for_ever), report=caught)',
        solution='once, for_ever = {"seconds_since_last"}, {"amount_ratio"}',
        praise="""A window forgets a mistake, a running mean keeps it. Which one would you rather explain to a
customer?""",
        hints=(
            "The column `mismatches` counts rows.",
            "A feature that does not stand in the table is right in every row.",
        ),
        wrong=(
            Wrong(
                'once, for_ever = {"amount_ratio"}, {"seconds_since_last"}', "169 of 179 rows differ in amount_ratio"
            ),
            Wrong(
                'once, for_ever = {"seconds_since_last", "transaction_count"}, {"amount_ratio"}',
                "transaction_count does not differ in any row",
            ),
            Wrong('once, for_ever = set(), {"amount_ratio"}', "seconds_since_last is missing."),
        ),
        check=_lost,
    ),
    Exercise(
        id="2.6",
        objective="O2.3",
        stars=4,
        task="""Declare a feature of your own: `transaction_count_10m`, the customer's payments of the last ten
minutes. The check computes it online and offline on 2,000 payments and compares bits; 310301 must
give 14.""",
        starter="""mine = None  # <- FeatureSpec((Window(name, aggregate, column, seconds),))""",
        call='check("2.6", mine, payments=in_order)',
        solution="""mine = FeatureSpec((Window("transaction_count_10m", "count", "amount_cents", 600),))""",
        praise="One line, and two algorithms compute it alike. That is what a spec is for.",
        hints=(
            "The aggregate is `count`, of the column `amount_cents`.",
            "Ten minutes are 600 seconds.",
        ),
        wrong=(
            Wrong(
                """mine = FeatureSpec((Window("transaction_count_10m", "count", "amount_cents", 10),))""",
                "Payment 310301 gives 2, not 14: 10 s are not ten minutes.",
            ),
            Wrong(
                """mine = FeatureSpec((Window("transaction_count_10m", "count", "amount_cents", 600, "merchant"),))""",
                "Payment 310301 gives 1: you count the shop's payments",
            ),
            Wrong(
                """mine = FeatureSpec((Window("count_10m", "count", "amount_cents", 600),))""",
                "The spec declares count_10m; the feature should be called transaction_count_10m.",
            ),
        ),
        check=_declared,
    ),
    Exercise(
        id="2.7",
        objective="O2.3",
        stars=2,
        task="""The table `merchant_risk` of day d is made when day d begins. A fraud happened on `event_day` and
was reported on `known_day`. May it count in the table of `day`? It looks back over 14 days.""",
        starter="""def may_use(event_day, known_day, day):
    return None  # <- True or False""",
        call='check("2.7", may_use, payments=in_order, labels=stream.labels, table=daily["merchant_risk"])',
        solution="""def may_use(event_day, known_day, day):
    return day - 14 <= event_day < day and known_day < day""",
        praise="Two clocks, the event's and the report's. A table that mixes them up knows the future.",
        hints=(
            "Two conditions: on when it happened, and on when it was known.",
            "The table of day d holds nothing of day d.",
        ),
        wrong=(
            Wrong(
                """def may_use(event_day, known_day, day):
    return day - 14 <= event_day < day""",
                "was not known on day",
            ),
            Wrong(
                """def may_use(event_day, known_day, day):
    return day - 14 <= event_day < day and known_day <= day""",
                "which is made when that day begins",
            ),
            Wrong(
                """def may_use(event_day, known_day, day):
    return known_day < day""",
                "counts no more on day",
            ),
        ),
        check=_may_use,
    ),
)
