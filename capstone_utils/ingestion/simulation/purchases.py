"""Purchases of honest customers, alone and in sprees, at home and away."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from capstone_utils.ingestion.arrays import Array, Booleans, Integers
from capstone_utils.ingestion.places import PLACES
from capstone_utils.ingestion.simulation.customers import (
    CARD,
    DESKTOP,
    FAMILY_CARD,
    FAVOURITES,
    MOBILE,
    NEXT_MOBILE,
    ZIPF_EXPONENT,
    Customers,
    device_code,
)
from capstone_utils.ingestion.simulation.hard_negatives import BLOCK_DAYS, HardNegativeRates, Life
from capstone_utils.ingestion.simulation.merchants import EVERYWHERE, ONLINE, Merchants
from capstone_utils.ingestion.simulation.rows import HARD_NEGATIVES, Rows
from capstone_utils.transaction import DAY_SECONDS

SPREE_SHARE = 0.15  # of purchases: another one follows
SPREE_SECONDS = (120.0, 2700.0)
LONE_SMALL_SHARE = 0.03  # of purchases: a single small one at a machine
SMALL_RUN = (3, 6)  # purchases in a run of small ones
SMALL_RUN_SHARES = (0.5, 0.25, 0.15, 0.1)
SMALL_GAP_SECONDS = (15.0, 80.0)
EXPLORATION = 0.08  # share of purchases at a merchant drawn by popularity, a favourite or not
GIFT_EXPLORATION = 0.6
GIFT_RATE = 2.0  # purchases in a gift season against other days
GIFT_AMOUNT = 1.7
AMOUNT_SPREAD = 0.4  # standard deviation of the logarithm around the merchant's ticket
NEW_PHONE_DAYS = 7  # for so long, purchases by a new phone are tagged
FAMILY_SHARE = 0.15  # of a sharing customer's purchases: the card's other holder makes one soon after
FAMILY_SECONDS = (300.0, 5400.0)
SPENDING_WEEK = np.array([0.95, 0.95, 0.97, 1.0, 1.12, 1.0, 1.0])  # Monday to Sunday


@dataclass(frozen=True)
class Moments:
    """Purchases before each has a merchant, a device and an amount, as columns of equal length."""

    customer: Array  # position among the customers
    second: Array  # since the stream's start, float
    small: Array  # number of the run of small payments, -1 outside of one
    family: Array  # whether the card's other holder pays

    def __len__(self) -> int:
        return len(self.customer)

    def where(self, chosen: Array) -> Moments:
        """The purchases that a mask chooses."""
        return Moments(*(getattr(self, column.name)[chosen] for column in fields(self)))


def purchases(
    customers: Customers,
    merchants: Merchants,
    life: Life,
    rates: HardNegativeRates,
    days: int,
    weekday: int,
    generator: np.random.Generator,
) -> Rows:
    """All honest purchases of `days` days, in no order; the first day is `weekday` (0: Monday)."""
    customer, second = _moments(customers, life, days, weekday, generator)
    moments = _companions(life, rates, customer, second, generator)
    moments = moments.where(moments.second < days * DAY_SECONDS)
    customer, second, small, family = moments.customer, moments.second, moments.small, moments.family
    city, away, moving = life.whereabouts(customers, customer, second)
    city = np.where(family, life.family_city[customer], city)
    begin, end = life.gift[:, life.block(customer, second)]
    gift = (second >= begin) & (second < end) & ~family
    merchant = _merchants(customers, merchants, moments, city, gift, generator)
    device = _devices(customers, merchants, life, moments, merchant, generator)
    spread = generator.normal(0.0, AMOUNT_SPREAD, len(moments))
    dollars = merchants.ticket[merchant] * customers.level[customer] * np.exp(spread)
    dollars = np.where(small >= 0, merchants.ticket[merchant] * np.exp(0.5 * spread), dollars)
    phone = life.phone[customer]
    new_phone = (device // len(customers) == NEXT_MOBILE) & (second < phone + NEW_PHONE_DAYS * DAY_SECONDS)
    run = (small >= 0) & (np.bincount(small + 1)[small + 1] > 1)
    tags = [run, family, away, new_phone, gift]
    names = ["small_payments", "shared_card", "travel", "new_phone", "gift_season"]
    rows = Rows(
        customer=customer,
        second=second,
        dollars=np.where(gift, dollars * GIFT_AMOUNT, dollars),
        city=city,
        merchant=merchant,
        device=device,
        scenario=np.zeros(len(moments), dtype=np.int64),
        hard_negative=np.select(tags, [HARD_NEGATIVES.index(name) for name in names], 0),
    )
    return rows.where(~moving | family)


def _moments(
    customers: Customers, life: Life, days: int, weekday: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """The customer and the second of each purchase, companions not yet included."""
    day = np.arange(days)
    weekend = (weekday + day) % 7 >= 5
    rate = customers.rate[:, None] * SPENDING_WEEK[(weekday + day) % 7]
    rate = rate * np.where(weekend, customers.weekend[:, None], 1.0) / (1 + SPREE_SHARE)
    begin, end = life.gift.reshape(2, len(customers), life.blocks)[:, :, day // BLOCK_DAYS]
    middle = (day + 0.5) * DAY_SECONDS
    rate = np.where((middle >= begin) & (middle < end), rate * GIFT_RATE, rate)
    counts = generator.poisson(rate)
    customer = np.repeat(np.arange(len(customers)), counts.sum(axis=1))
    on_day = np.repeat(np.tile(day, len(customers)), counts.ravel())
    hour = generator.normal(customers.hour[customer], customers.hour_spread[customer]) + weekend[on_day]
    hour = np.where(generator.random(len(hour)) < 0.06, generator.uniform(0, 24, len(hour)), hour) % 24
    return customer, (on_day + hour / 24) * DAY_SECONDS


def _companions(
    life: Life, rates: HardNegativeRates, customer: Array, second: Array, generator: np.random.Generator
) -> Moments:
    """Purchases with those that follow soon: in a spree, in a run of small ones, or by the card's other holder."""
    n = len(customer)
    spree = np.flatnonzero(generator.random(n) < SPREE_SHARE)
    chance = generator.random(n)
    first = np.flatnonzero(chance < rates.small_payments + LONE_SMALL_SHARE)
    sizes = np.arange(SMALL_RUN[0], SMALL_RUN[1] + 1)
    more = generator.choice(sizes, len(first), p=SMALL_RUN_SHARES) - 1
    more = np.where(chance[first] < rates.small_payments, more, 0)
    gaps = generator.uniform(*SMALL_GAP_SECONDS, (len(first), SMALL_RUN[1] - 1)).cumsum(axis=1)
    used = np.arange(SMALL_RUN[1] - 1) < more[:, None]
    run = np.repeat(np.arange(len(first)), more)
    shared = np.flatnonzero((life.family_city[customer] >= 0) & (generator.random(n) < FAMILY_SHARE))
    small = np.full(n, -1)
    small[first] = np.arange(len(first))
    leaders = np.concatenate([np.arange(n), spree, first[run], shared])
    later = np.concatenate(
        [
            np.zeros(n),
            generator.uniform(*SPREE_SECONDS, len(spree)),
            gaps[used],
            generator.uniform(*FAMILY_SECONDS, len(shared)),
        ]
    )
    small = np.concatenate([small, np.full(len(spree), -1), run, np.full(len(shared), -1)])
    family = np.arange(len(leaders)) >= len(leaders) - len(shared)
    return Moments(customer[leaders], second[leaders] + later, small, family)


def _merchants(
    customers: Customers,
    merchants: Merchants,
    moments: Moments,
    city: Integers,
    gift: Booleans,
    generator: np.random.Generator,
) -> Integers:
    weights = np.cumsum(np.arange(1, FAVOURITES + 1) ** -ZIPF_EXPONENT)
    rank = np.searchsorted(weights / weights[-1], generator.random(len(moments)), side="right")
    merchant: Integers = customers.favourites[moments.customer, np.minimum(rank, FAVOURITES - 1)]
    explore = generator.random(len(moments)) < np.where(gift, GIFT_EXPLORATION, EXPLORATION)
    place = merchants.city[merchant]
    out_of_reach = (place != city) & (place != ONLINE) & (place != EVERYWHERE) | (moments.family & (place == ONLINE))
    elsewhere = np.flatnonzero(explore | out_of_reach)
    merchant[elsewhere] = explore_merchants(merchants, city[elsewhere], out_of_reach[elsewhere], generator)
    in_run = moments.small >= 0
    machine = generator.integers(0, 3, moments.small.max(initial=-1) + 1)[moments.small[in_run]]
    merchant[in_run] = merchants.machines()[city[in_run], machine]
    return merchant


def explore_merchants(
    merchants: Merchants, city: Integers, in_shop: Booleans, generator: np.random.Generator
) -> Integers:
    """A merchant drawn by popularity: in a shop of the city, or over the internet four times in ten."""
    online = ~in_shop & (generator.random(len(city)) < 0.4)
    merchant = np.empty(len(city), dtype=np.int64)
    merchant[online] = draw(merchants.online, merchants, int(online.sum()), generator)
    for number in range(len(PLACES)):
        here = ~online & (city == number)
        merchant[here] = draw(merchants.in_city(number), merchants, int(here.sum()), generator)
    return merchant


def draw(among: Array, merchants: Merchants, count: int, generator: np.random.Generator) -> Array:
    """`count` merchants of `among`, drawn by the square root of popularity.

    So explorers visit lesser places too.
    """
    weights = np.cumsum(np.sqrt(merchants.popularity[among]))
    drawn: Integers = among[np.searchsorted(weights, generator.random(count) * weights[-1], side="right")]
    return drawn


def _devices(
    customers: Customers,
    merchants: Merchants,
    life: Life,
    moments: Moments,
    merchant: Array,
    generator: np.random.Generator,
) -> Array:
    customer, small = moments.customer, moments.small
    chance = generator.random(len(moments))
    chance[small >= 0] = generator.random(small.max(initial=-1) + 1)[small[small >= 0]]  # one device a run
    online = merchants.city[merchant] == ONLINE
    mobile = chance < np.where(online, customers.mobile_share[customer], customers.wallet_share[customer])
    device = np.where(mobile, MOBILE, np.where(online, DESKTOP, CARD))
    device = np.where(mobile & (moments.second >= life.phone[customer]), NEXT_MOBILE, device)
    device = np.where(moments.family, FAMILY_CARD, device)
    return device_code(customer, device, len(customers))
