"""Hard negatives: honest behaviour that looks like fraud, such as travel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capstone_utils.errors import InvalidValue
from capstone_utils.ingestion.arrays import Array, Floats, Integers
from capstone_utils.ingestion.places import PLACES, distance_km
from capstone_utils.ingestion.simulation.customers import Customers
from capstone_utils.transaction import DAY_SECONDS

BLOCK_DAYS = 21  # at most one journey and one gift season a customer in each such block
TRAVEL_KM_AN_HOUR = 750.0  # door to door costs AIRPORT_HOURS besides
AIRPORT_HOURS = 2.5
TRIP_DAYS = (2.0, 6.0)
TRIP_KM = 250.0  # nearer places count as home
GIFT_DAYS = (3.0, 6.0)
NEIGHBOUR_KM = 350.0  # how far away the other holder of a shared card may live
NEVER = np.inf

CITIES = tuple(PLACES)
DISTANCES_KM = np.array([[distance_km(a, b) for b in CITIES] for a in CITIES], dtype=float)


@dataclass(frozen=True)
class HardNegativeRates:
    """The rates at which honest customers look suspicious."""

    travel: float = 0.12  # journeys a customer in 30 days
    new_phone: float = 0.06  # new phones a customer in 30 days
    gift_season: float = 0.06  # gift seasons a customer in 30 days
    shared_card: float = 0.04  # share of customers, of those with a city nearby
    small_payments: float = 0.003  # share of purchases that begin a run of small ones

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise InvalidValue(f"hard_negatives.{name}={value!r} is not a rate from 0 to 1")


@dataclass(frozen=True)
class Life:
    """The events in each customer's life, in seconds since the stream's start.

    An event that does not happen is at NEVER.

    `trip` has the moments of leaving home, arriving, leaving again and being home, shape (4, customers * blocks).
    """

    blocks: int
    trip: Floats
    trip_city: Integers  # shape (customers * blocks,)
    gift: Floats  # begin and end, shape (2, customers * blocks)
    phone: Floats  # when the new phone is first in use, shape (customers,)
    family_city: Integers  # where the other holder of the card lives, -1 when it is not shared, shape (customers,)

    def block(self, customer: Integers, second: Floats) -> Integers:
        """The positions in `trip` and `gift` that hold for these moments."""
        return customer * self.blocks + (second // (BLOCK_DAYS * DAY_SECONDS)).astype(np.int64)

    def whereabouts(self, customers: Customers, customer: Array, second: Array) -> tuple[Array, ...]:
        """Each customer's city at each moment, with masks of journeys and travel.

        The first mask is of those away on a journey, the second of those on the way.
        """
        block = self.block(customer, second)
        leave, arrive, return_, back = (moment[block] for moment in self.trip)
        away = (second >= arrive) & (second < return_)
        moving = (second >= leave) & (second < back) & ~away
        return np.where(away, self.trip_city[block], customers.home[customer]), away, moving


def make_life(customers: Customers, days: int, rates: HardNegativeRates, generator: np.random.Generator) -> Life:
    """The journeys, new phones, gift seasons and shared cards of `days` days."""
    blocks = -(-days // BLOCK_DAYS)
    trip, trip_city = _trips(np.repeat(customers.home, blocks), blocks, rates.travel, generator)
    phone = generator.uniform(0, 30.0 / max(rates.new_phone, 1e-9), len(customers)) * DAY_SECONDS
    gift_begin = _begin(len(customers), blocks, rates.gift_season, GIFT_DAYS[1], generator)
    gift_end = gift_begin + generator.uniform(*GIFT_DAYS, len(gift_begin)) * DAY_SECONDS
    apart = DISTANCES_KM + np.where(np.eye(len(CITIES)), NEVER, 0.0)
    neighbour = apart.argmin(axis=1)[customers.home]
    shared = (apart.min(axis=1)[customers.home] <= NEIGHBOUR_KM) & (
        generator.random(len(customers)) < rates.shared_card
    )
    return Life(
        blocks,
        trip,
        trip_city,
        np.stack([gift_begin, gift_end]),
        np.where((phone < days * DAY_SECONDS) & (customers.mobile_share > 0), phone, NEVER),
        np.where(shared, neighbour, -1),
    )


def _begin(count: int, blocks: int, rate: float, longest_days: float, generator: np.random.Generator) -> Array:
    """The second at which each block's spell begins, to end inside; NEVER in most."""
    happens = generator.random(count * blocks) < rate * BLOCK_DAYS / 30
    block = np.tile(np.arange(blocks), count)
    begin = block * BLOCK_DAYS + generator.uniform(0, BLOCK_DAYS - longest_days, count * blocks)
    return np.where(happens, begin * DAY_SECONDS, NEVER)


def _trips(home: Integers, blocks: int, rate: float, generator: np.random.Generator) -> tuple[Floats, Integers]:
    weights = np.array([place.weight for place in PLACES.values()])
    pull = np.where(DISTANCES_KM >= TRIP_KM, weights, 0.0)
    cumulative = np.cumsum(pull / pull.sum(axis=1, keepdims=True), axis=1)
    city = (cumulative[home] < generator.random(len(home))[:, None]).sum(axis=1)
    city = np.minimum(city, len(CITIES) - 1)
    journey = (DISTANCES_KM[home, city] / TRAVEL_KM_AN_HOUR + AIRPORT_HOURS) * 3600.0
    leave = _begin(len(home) // blocks, blocks, rate, TRIP_DAYS[1] + 1.0, generator)
    arrive = leave + journey * generator.uniform(1.0, 1.3, len(home))
    return_ = arrive + generator.uniform(*TRIP_DAYS, len(home)) * DAY_SECONDS
    back = return_ + journey * generator.uniform(1.0, 1.3, len(home))
    return np.stack([leave, arrive, return_, back]), city
