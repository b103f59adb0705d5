"""The choices of thieves: victims, amounts, places, and how to blend in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capstone_utils.ingestion.arrays import Array, Floats, Integers
from capstone_utils.ingestion.simulation.customers import Customers
from capstone_utils.ingestion.simulation.hard_negatives import CITIES, Life
from capstone_utils.ingestion.simulation.merchants import ONLINE, SMALL_PAYMENTS, Merchants
from capstone_utils.ingestion.simulation.rows import Rows
from capstone_utils.transaction import DAY_SECONDS

CANDIDATES = 16  # payments looked at for each one that a thief follows
AMOUNT_SPREAD = 0.35  # standard deviation of the logarithm of the stolen amount

Difficulty = Literal["easy", "standard", "hard"]


@dataclass(frozen=True)
class Blend:
    """The degree to which thieves blend in.

    The more time they take, and the more they know of the victim, the harder they are to detect.
    """

    amount_exponent: float  # a stolen amount is (factor of the scenario) ** this times the victim's usual amount
    at_home: float  # share of cases over the internet that take care to come from the victim's city
    known_merchants: float  # share of an account takeover's payments at the victim's own favourite
    night: float  # share of cases that begin between midnight and six; of a compromised merchant's payments, twice that
    stretch: float  # factor on the time between two card tests; below 1 it shortens account takeovers too


BLENDS: dict[str, Blend] = {
    "easy": Blend(amount_exponent=1.4, at_home=0.3, known_merchants=0.0, night=0.5, stretch=0.8),
    "standard": Blend(amount_exponent=1.0, at_home=0.3, known_merchants=0.1, night=0.35, stretch=1.0),
    "hard": Blend(amount_exponent=0.5, at_home=0.9, known_merchants=0.4, night=0.1, stretch=1.5),
}


@dataclass(frozen=True)
class World:
    """The world that thieves meet: customers, merchants, and the honest payments."""

    customers: Customers
    merchants: Merchants
    life: Life
    honest: Rows
    usual: Array  # mean amount of each customer's own payments, dollars
    days: int


def make_world(customers: Customers, merchants: Merchants, life: Life, honest: Rows, days: int) -> World:
    """The world of these customers, merchants and honest payments."""
    total = np.bincount(honest.customer, honest.dollars, len(customers))
    count = np.bincount(honest.customer, minlength=len(customers))
    overall = honest.dollars.mean() if len(honest) else 30.0
    usual = np.where(count > 0, total / np.maximum(count, 1), overall * customers.level)
    return World(customers, merchants, life, honest, usual, days)


def own_payments(
    world: World, among: Integers, count: int, longest_seconds: float, generator: np.random.Generator
) -> Integers:
    """Positions of `count` of the honest payments `among`, spread evenly, all `longest_seconds` before the end."""
    second = world.honest.second
    among = among[second[among] < world.days * DAY_SECONDS - longest_seconds]
    drawn = generator.choice(among, CANDIDATES * count if len(among) else 0)
    return drawn[np.argsort(second[drawn], kind="stable")].reshape(-1, CANDIDATES)[:, 0]


def stolen_dollars(world: World, victim: Array, factor: float, blend: Blend, generator: np.random.Generator) -> Array:
    """Stolen amounts in dollars: the victim's usual amount times about `factor`."""
    spread = generator.lognormal(0.0, AMOUNT_SPREAD, len(victim))
    dollars: Floats = world.usual[victim] * factor**blend.amount_exponent * spread
    return dollars


def seen_city(world: World, victim: Array, blend: Blend, generator: np.random.Generator) -> Array:
    """The city that a theft over the internet seems to come from: the victim's own or any."""
    near = generator.random(len(victim)) < blend.at_home
    return np.where(near, world.customers.home[victim], generator.integers(0, len(CITIES), len(victim)))


def far_city(far: Array, generator: np.random.Generator) -> Array:
    """A random city from each row of `far`, shape (thefts, cities)."""
    total = far.cumsum(axis=1)
    city: Integers = (total <= generator.random(len(far))[:, None] * total[:, -1:]).sum(axis=1)
    return city


def tours(among: Array, world: World, count: int, generator: np.random.Generator) -> Array:
    """An order of merchants to visit for each of `count` thieves, none twice, shape (count, len(among))."""
    taste = 0.5 * np.log(world.merchants.popularity[among]) + generator.gumbel(size=(count, len(among)))
    return among[np.argsort(-taste, axis=1, kind="stable")]


def sites(
    world: World, victim: Integers, case: Integers, place: Integers, blend: Blend, generator: np.random.Generator
) -> Integers:
    """Online merchants for the payments of takeovers: a tour, and now and then the victim's own favourite."""
    known = generator.random(len(case)) < blend.known_merchants
    favourites = world.customers.favourites[victim]
    online = world.merchants.city[favourites] == ONLINE
    best = favourites[np.arange(len(victim)), online.argmax(axis=1)]
    tour = tours(world.merchants.online, world, len(victim), generator)
    return np.where(known & online.any(axis=1)[case], best[case], tour[case, place])


def shops(world: World, city: Integers, case: Integers, place: Integers, generator: np.random.Generator) -> Integers:
    """Shops in each case's `city` for its payments, none twice."""
    merchant = np.empty(len(case), dtype=np.int64)
    for number in range(len(CITIES)):
        here = city == number
        tour = tours(world.merchants.in_city(number), world, int(here.sum()), generator)
        rank, chosen = (np.cumsum(here) - 1)[case], here[case]
        merchant[chosen] = tour[rank[chosen], place[chosen]]
    return merchant


def small_shops(world: World) -> Integers:
    """Local shops with no more payments than the median shop, in cities where others live; machines left out."""
    payments = np.bincount(world.honest.merchant, minlength=len(world.merchants.city))
    local = (world.merchants.city >= 0) & ~np.isin(world.merchants.category, SMALL_PAYMENTS)
    small = local & (payments > 0) & (payments <= np.median(payments[local]))
    return np.array([shop for shop in np.flatnonzero(small) if len(strangers(world, shop))], dtype=np.int64)


def strangers(world: World, shop: int) -> Integers:
    """The customers who live in the shop's city and never paid there."""
    known = world.honest.customer[world.honest.merchant == shop]
    living = world.customers.home == world.merchants.city[shop]
    living[known] = False
    return np.flatnonzero(living)
