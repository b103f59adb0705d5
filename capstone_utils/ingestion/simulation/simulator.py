"""The simulated stream: transactions of customers and thieves, labels, and truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

import numpy as np
import pandas as pd

from capstone_utils.errors import InvalidValue
from capstone_utils.ingestion.arrays import Array, Booleans, Integers
from capstone_utils.ingestion.places import PLACES
from capstone_utils.ingestion.simulation.customers import device_names, make_customers
from capstone_utils.ingestion.simulation.fraud.scenarios import (
    FraudRates,
    account_takeover,
    card_testing,
    cash_out,
    cloned_card,
    compromised_merchant,
)
from capstone_utils.ingestion.simulation.fraud.thieves import BLENDS, Difficulty, make_world
from capstone_utils.ingestion.simulation.hard_negatives import HardNegativeRates, make_life
from capstone_utils.ingestion.simulation.merchants import Merchants, make_merchants
from capstone_utils.ingestion.simulation.purchases import purchases
from capstone_utils.ingestion.simulation.reported_labels import LabelNoise, draw_labels
from capstone_utils.ingestion.simulation.rows import (
    HARD_NEGATIVES,
    SCENARIOS,
    Rows,
    concatenate,
    to_cents,
    to_microseconds,
    until,
)
from capstone_utils.transaction import DAY_SECONDS, MAX_TIME_US, MIN_TIME_US, SECOND_US

PURCHASES_A_DAY = 2.4
# One source of randomness each, so that more of one scenario changes no other transaction. Append only.
STREAMS = (
    "merchants",
    "customers",
    "life",
    "purchases",
    "card_testing",
    "account_takeover",
    "cloned_card",
    "compromised_merchant",
    "cash_out",
    "prices",
    "devices",
    "labels",
    "drift_labels",
)
USUAL = {
    "card_testing": card_testing,
    "account_takeover": account_takeover,
    "cloned_card": cloned_card,
    "compromised_merchant": compromised_merchant,
}
Drift = Literal["cash_out", "adapt"]


@dataclass(frozen=True)
class SimulatorConfig:
    """The configuration of a simulation; equal ones give equal streams everywhere.

    Raises:
        InvalidValue: naming the field, its value and what would be right.
    """

    seed: int = 0
    customers: int = 2000
    days: int = 42
    start: str = "2026-01-05"  # a Monday
    fraud: FraudRates = field(default_factory=FraudRates)
    hard_negatives: HardNegativeRates = field(default_factory=HardNegativeRates)
    label_noise: LabelNoise = field(default_factory=LabelNoise)
    drift_day: int | None = None  # the drift begins on this day, 0 being the first
    drift: Drift = "cash_out"  # a scenario more, or thieves who adapt: those of before blend in as on "hard"
    difficulty: Difficulty = "standard"

    def __post_init__(self) -> None:
        _check_whole("seed", self.seed, 0, 2**63 - 1)
        _check_whole("customers", self.customers, 1, 1_000_000)
        _check_whole("days", self.days, 1, 3660)
        if self.drift_day is not None:
            _check_whole("drift_day", self.drift_day, 0, self.days - 1)
        if self.difficulty not in BLENDS:
            raise InvalidValue(f"difficulty={self.difficulty!r} is none of {', '.join(BLENDS)}")
        if self.drift not in get_args(Drift):
            raise InvalidValue(f"drift={self.drift!r} is none of {', '.join(get_args(Drift))}")
        for name, kind in (("fraud", FraudRates), ("hard_negatives", HardNegativeRates), ("label_noise", LabelNoise)):
            if not isinstance(getattr(self, name), kind):
                raise InvalidValue(f"{name}={getattr(self, name)!r} is not a {kind.__name__}")
        try:
            start_us = self.start_us()
        except (TypeError, ValueError):
            raise InvalidValue(f"start={self.start!r} is not a date like 2026-01-05") from None
        if not MIN_TIME_US <= start_us <= MAX_TIME_US - self.days * DAY_SECONDS * SECOND_US:
            raise InvalidValue(f"start={self.start!r} and days={self.days} leave the years 2000 to 2099")

    def first_day(self) -> datetime:
        """Midnight UTC at which the stream begins."""
        return datetime.strptime(self.start, "%Y-%m-%d").replace(tzinfo=UTC)

    def start_us(self) -> int:
        """The stream's first midnight UTC, microseconds since 1970."""
        return int(self.first_day().timestamp()) * SECOND_US


@dataclass(frozen=True)
class Simulation:
    """A simulated stream: three frames in one order, one row per transaction.

    transactions: transaction_id (1, 2, ... in time order), user_id, amount_cents, event_time_us (int64), and
    location, merchant, device (categorical text). labels: transaction_id, is_fraud (bool, as reported), known_at_us
    (int64). truth: transaction_id, scenario, hard_negative (categorical), for evaluation only, never for features.
    """

    config: SimulatorConfig
    transactions: pd.DataFrame
    labels: pd.DataFrame
    truth: pd.DataFrame


def simulate(config: SimulatorConfig) -> Simulation:
    """The stream of `config`, sorted by event time.

    >>> stream = simulate(SimulatorConfig(customers=20, days=2))
    >>> list(stream.transactions)[:4]
    ['transaction_id', 'user_id', 'amount_cents', 'event_time_us']
    """
    streams = dict(zip(STREAMS, np.random.SeedSequence(config.seed).spawn(len(STREAMS)), strict=True))
    merchants = make_merchants(np.random.default_rng(streams["merchants"]))
    blocks = _rows(config, merchants, streams)
    cents, times_us = _money_and_times(blocks, config.start_us(), streams["prices"])
    added = np.repeat(np.arange(len(blocks)) > len(USUAL), list(map(len, blocks)))
    rows, order = concatenate(blocks), np.argsort(times_us, kind="stable")
    rows, cents, times_us, added = rows.where(order), cents[order], times_us[order], added[order]
    labels = _labels(times_us, rows.scenario, added, config.label_noise, streams)
    kept = ~_given_up(config, times_us, rows.scenario, added)
    rows, cents, times_us, labels = rows.where(kept), cents[kept], times_us[kept], labels[kept]
    ids = np.arange(1, len(rows) + 1, dtype=np.int64)
    transactions = pd.DataFrame(
        {
            "transaction_id": ids,
            "user_id": rows.customer + 1,
            "amount_cents": cents,
            "event_time_us": times_us,
            "location": pd.Categorical.from_codes(rows.city, list(PLACES)),
            "merchant": _categorical(rows.merchant, merchants.name),
            "device": _devices(rows.device, config.customers, streams["devices"]),
        }
    )
    truth = pd.DataFrame(
        {
            "transaction_id": ids,
            "scenario": pd.Categorical.from_codes(rows.scenario, list(SCENARIOS)),
            "hard_negative": pd.Categorical.from_codes(rows.hard_negative, list(HARD_NEGATIVES)),
        }
    )
    return Simulation(config, transactions, labels.assign(transaction_id=ids).reset_index(drop=True), truth)


def _rows(config: SimulatorConfig, merchants: Merchants, streams: dict[str, np.random.SeedSequence]) -> list[Rows]:
    """The honest transactions, then those of each scenario."""
    draw = {name: np.random.default_rng(stream) for name, stream in streams.items()}
    customers = make_customers(config.customers, merchants, PURCHASES_A_DAY, draw["customers"])
    life = make_life(customers, config.days, config.hard_negatives, draw["life"])
    weekday = config.first_day().weekday()
    honest = purchases(customers, merchants, life, config.hard_negatives, config.days, weekday, draw["purchases"])
    world = make_world(customers, merchants, life, honest, config.days)
    blend, rates = BLENDS[config.difficulty], config.fraud
    blocks = [honest, *(scenario(world, getattr(rates, name), blend, draw[name]) for name, scenario in USUAL.items())]
    if config.drift_day is not None and config.drift == "cash_out":
        blocks.append(cash_out(world, rates.cash_out, config.drift_day, blend, draw["cash_out"]))
    elif config.drift_day is not None:
        for name, scenario in USUAL.items():  # the same thieves, from the same source of randomness
            adapted = scenario(world, getattr(rates, name), BLENDS["hard"], np.random.default_rng(streams[name]))
            blocks.append(adapted.where(adapted.second >= config.drift_day * DAY_SECONDS))
    return [until(block, config.days) for block in blocks]


def _given_up(config: SimulatorConfig, times_us: Integers, scenario: Integers, added: Booleans) -> Booleans:
    """A mask of the thefts that thieves who adapt do no longer commit in their former way."""
    if config.drift_day is None or config.drift != "adapt":
        return np.zeros(len(times_us), dtype=bool)
    begins_us = config.start_us() + config.drift_day * DAY_SECONDS * SECOND_US
    return ~added & (scenario > 0) & (times_us >= begins_us)


def _money_and_times(blocks: list[Rows], start_us: int, stream: np.random.SeedSequence) -> tuple[Array, Array]:
    """Cents and event times of the blocks, each from a random stream of its own.

    They are drawn alike for every block, one block after the other.
    """
    generators = [np.random.default_rng(part) for part in stream.spawn(len(blocks))]
    cents = [to_cents(block.dollars, draw) for block, draw in zip(blocks, generators, strict=True)]
    times = [to_microseconds(block.second, start_us, draw) for block, draw in zip(blocks, generators, strict=True)]
    return np.concatenate(cents), np.concatenate(times)


def _labels(
    times_us: Integers,
    scenario: Integers,
    added: Booleans,
    noise: LabelNoise,
    streams: dict[str, np.random.SeedSequence],
) -> pd.DataFrame:
    """The labels, drawn apart for what a drift adds, so that it changes no others; `transaction_id` is the position."""
    position = np.arange(len(times_us))
    parts = [
        draw_labels(position[chosen], times_us[chosen], scenario[chosen] > 0, noise, np.random.default_rng(source))
        for chosen, source in ((~added, streams["labels"]), (added, streams["drift_labels"]))
    ]
    return pd.concat(parts).sort_values("transaction_id", ignore_index=True)


def _categorical(codes: Array, names: Array) -> pd.Categorical:
    """A categorical with alphabetical categories, so that its codes reveal nothing."""
    order = np.argsort(names, kind="stable")
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return pd.Categorical.from_codes(place[codes], names[order].tolist())


def _devices(codes: Integers, customers: int, stream: np.random.SeedSequence) -> pd.Categorical:
    used = np.flatnonzero(np.bincount(codes))
    place = np.zeros(codes.max(initial=0) + 1, dtype=np.int64)
    place[used] = np.arange(len(used))
    return _categorical(place[codes], device_names(used, customers, np.random.default_rng(stream)))


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise InvalidValue(f"{name}={value!r} is not a whole number from {low} to {high}")
