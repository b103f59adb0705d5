"""A thief of the learner's own: a recipe in a few numbers, and his payments among everybody's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from capstone_utils.errors import InvalidValue
from capstone_utils.ingestion.arrays import Integers
from capstone_utils.ingestion.simulation.reported_labels import draw_labels
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.transaction import DAY_SECONDS, SECOND_US

SCENARIO = "my_thief"


@dataclass(frozen=True)
class Thief:
    """The recipe of a fraud: what a thief does with one stolen card, and how often there is one.

    Raises:
        InvalidValue: naming the field, its value and what would be right.
    """

    payments: tuple[int, int]  # fewest and most with one card
    gap_seconds: tuple[float, float]  # from one to the next
    dollars: tuple[float, float]
    shops: str = ""  # a word in the merchant's name, such as "Gift Cards"; empty: any shop
    one_shop: bool = False  # all payments of a card at the same one
    device: Literal["own", "new"] = "new"  # the victim's own, or one never seen before
    cases: float = 0.8  # in 1,000 customers' days

    def __post_init__(self) -> None:
        for name, least in (("payments", 1), ("gap_seconds", 0), ("dollars", 0.01)):
            low, high = getattr(self, name)
            if not least <= low <= high:
                raise InvalidValue(f"{name}={(low, high)!r} is no range from {least} up, the lower end first")
        if self.device not in ("own", "new"):
            raise InvalidValue(f'device={self.device!r} is neither "own" nor "new"')
        if not 0 < self.cases <= 100:
            raise InvalidValue(f"cases={self.cases!r} is no rate from 0 to 100 in 1,000 customers' days")


def with_thief(stream: Simulation, thief: Thief, from_day: int = 0) -> Simulation:
    """The stream with the thief's payments, labels and truth in it, from a day of the stream on (0: the first)."""
    generator = np.random.default_rng([stream.config.seed, from_day])
    stolen = _payments(stream, thief, from_day, generator)
    everything = pd.concat([stream.transactions.astype(dict.fromkeys(TEXTS, str)), stolen])
    order = np.argsort(everything["event_time_us"].to_numpy(), kind="stable")
    ids, times = stolen["transaction_id"].to_numpy(), stolen["event_time_us"].to_numpy()
    fraud = np.ones(len(stolen), dtype=bool)
    labels = draw_labels(ids, times, fraud, stream.config.label_noise, generator)
    truth = pd.DataFrame({"transaction_id": ids, "scenario": SCENARIO, "hard_negative": "none"})
    frames = {
        "transactions": everything,
        "labels": pd.concat([stream.labels, labels]),
        "truth": pd.concat([stream.truth.astype({"scenario": str, "hard_negative": str}), truth]),
    }
    return replace(stream, **{name: frame.iloc[order].reset_index(drop=True) for name, frame in frames.items()})


TEXTS = ("location", "merchant", "device")


def _payments(stream: Simulation, thief: Thief, from_day: int, generator: np.random.Generator) -> pd.DataFrame:
    """The thief's payments, case by case; victims keep their city."""
    honest = stream.transactions
    users, days = honest["user_id"].unique(), stream.config.days - from_day
    count = max(round(thief.cases * len(users) * days / 1000), 1)
    sizes = generator.integers(thief.payments[0], thief.payments[1] + 1, count)
    case = np.repeat(np.arange(count), sizes)
    gaps = np.where(np.diff(case, prepend=-1) > 0, 0.0, generator.uniform(*thief.gap_seconds, len(case)))
    since = np.cumsum(gaps) - np.repeat(np.cumsum(gaps)[np.searchsorted(case, np.arange(count))], sizes)
    begin = from_day * DAY_SECONDS + generator.uniform(0, days * DAY_SECONDS, count)
    begin = np.minimum(begin, stream.config.days * DAY_SECONDS - 60 - np.maximum.reduceat(since, _first(sizes)))
    victim = generator.choice(users, count)
    habits = honest.groupby("user_id")[["location", "device"]].agg(lambda texts: texts.value_counts().idxmax())
    device = habits.loc[victim, "device"].to_numpy(dtype=object)
    if thief.device == "new":
        device = np.array([f"mobile-{0xA000 + number:x}" for number in range(count)], dtype=object)
    names = honest["merchant"].astype(str).unique()
    shops = np.array([name for name in names if thief.shops.lower() in name.lower()], dtype=object)
    if not len(shops):
        raise InvalidValue(f"shops={thief.shops!r} stands in the name of no merchant")
    shop = generator.choice(shops, count)[case] if thief.one_shop else generator.choice(shops, len(case))
    return pd.DataFrame(
        {
            "transaction_id": honest["transaction_id"].max() + 1 + np.arange(len(case)),
            "user_id": victim[case],
            "amount_cents": np.round(100 * generator.uniform(*thief.dollars, len(case))).astype(np.int64),
            "event_time_us": stream.config.start_us() + ((begin[case] + since) * SECOND_US).astype(np.int64),
            "location": habits.loc[victim, "location"].to_numpy(dtype=object)[case],
            "merchant": shop,
            "device": device[case],
        }
    )


def _first(sizes: Integers) -> Integers:
    """The position of each case's first payment."""
    return np.cumsum(sizes) - sizes
