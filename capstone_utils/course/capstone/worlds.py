"""The simulated worlds in which a project is judged; each is made once a process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.course.capstone.thief import TEXTS, Thief, with_thief
from capstone_utils.features.enriched import enriched_history
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.ingestion.simulation.fraud.scenarios import FraudRates
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.serving.training.splits import Split, first_days, split_by_time


@dataclass(frozen=True)
class Scale:
    """The size of the worlds: three of them by default; `rates` multiplies the cases of every fraud scenario."""

    customers: int = 1000
    train_days: int = 21
    rates: float = 1.0
    warm_up_days: int = 7
    seeds: tuple[int, ...] = (101, 102, 103)

    @property
    def days(self) -> int:
        """The days of a stream whose split has all its labels."""
        return self.test_day + 7 + LABEL_DELAY_DAYS + 1

    @property
    def test_day(self) -> int:
        """The day of the stream on which the test week begins."""
        return int(first_days(self.warm_up_days, self.train_days)[2])

    def split(self, frame: pd.DataFrame) -> Split:
        """The time split of a world's enriched frame."""
        return split_by_time(frame, self.warm_up_days, self.train_days)


FULL = Scale()
SMALL = Scale(customers=300, train_days=14, rates=2.0)  # a try in less than half a minute; its figures say less


class World(NamedTuple):
    """A world: its stream, and the enriched frame of it, row by row the same payments in the same order."""

    stream: Simulation
    frame: pd.DataFrame

    @property
    def transactions(self) -> pd.DataFrame:
        """The transactions in order, with their texts as plain strings."""
        return self.stream.transactions.astype(dict.fromkeys(TEXTS, str))

    def with_column(self, name: str, values: Floats) -> pd.DataFrame:
        """The enriched frame with a further feature."""
        return self.frame.assign(**{name: values})


@cache
def world(scale: Scale, seed: int, thief: Thief | None = None, from_day: int = 0) -> World:
    """The world of a seed, with a thief in it from a day on."""
    usual = {name: rate * scale.rates for name, rate in vars(FraudRates()).items()}
    config = SimulatorConfig(seed=seed, customers=scale.customers, days=scale.days, fraud=FraudRates(**usual))
    stream = simulate(config)
    if thief:
        more = replace(thief, cases=min(thief.cases * scale.rates, 100))
        stream = with_thief(stream, more, from_day)
    frame = enriched_history(stream.transactions, stream.labels)
    same = np.array_equal(frame["transaction_id"], stream.transactions["transaction_id"])
    assert same, "a stream in the order of event time is enriched in that order"
    return World(stream, frame)
