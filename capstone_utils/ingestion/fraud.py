"""What thieves do: four scenarios, and a fifth that starts on the drift day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from capstone_utils.ingestion.customers import CARD, MOBILE, NEXT_MOBILE, Customers, device_code, stranger_code
from capstone_utils.ingestion.hard_negatives import CITIES, DISTANCES_KM, Life
from capstone_utils.ingestion.merchants import ONLINE, SMALL_PAYMENTS, Merchants
from capstone_utils.ingestion.purchases import draw
from capstone_utils.ingestion.rows import DAY_SECONDS, SCENARIOS, Rows

SKIMMED = 0.5  # share of card tests that follow at once on a payment of the victim's own, where the card was read
CANDIDATES = 16

Difficulty = Literal["easy", "standard", "hard"]


@dataclass(frozen=True)
class FraudRates:
    """Cases of each scenario in 1,000 customers' days (of `cash_out`, in those from the drift day on)."""

    card_testing: float = 0.6
    account_takeover: float = 0.7
    cloned_card: float = 0.7
    compromised_merchant: float = 0.09
    cash_out: float = 0.80

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 100:
                raise ValueError(f"fraud.{name}={value!r} is not a rate from 0 to 100 cases in 1,000 customers' days")


@dataclass(frozen=True)
class Blend:
    """How well thieves blend in. The longer they take and the more they know of the victim, the harder to tell."""

    amount_exponent: float  # what thieves take is (factor of the scenario) ** this times the victim's custom
    at_home: float  # share of cases over the internet that seem to come from the victim's city
    known_merchants: float  # share of payments at the victim's own favourites
    night: float  # share of thefts between midnight and six
    stretch: float  # factor on the time between two payments of a case


BLENDS: dict[str, Blend] = {
    "easy": Blend(amount_exponent=1.4, at_home=0.3, known_merchants=0.0, night=0.5, stretch=0.8),
    "standard": Blend(amount_exponent=1.0, at_home=0.3, known_merchants=0.1, night=0.35, stretch=1.0),
    "hard": Blend(amount_exponent=0.5, at_home=0.9, known_merchants=0.4, night=0.1, stretch=1.5),
}


@dataclass(frozen=True)
class World:
    """What the thieves meet: the customers, the shops, and what the customers did themselves."""

    customers: Customers
    merchants: Merchants
    life: Life
    honest: Rows
    custom: np.ndarray  # mean amount of each customer's own purchases, dollars
    days: int


def make_world(customers: Customers, merchants: Merchants, life: Life, honest: Rows, days: int) -> World:
    """The world as the thieves find it."""
    total = np.bincount(honest.customer, honest.dollars, len(customers))
    count = np.bincount(honest.customer, minlength=len(customers))
    usual = honest.dollars.mean() if len(honest) else 30.0
    custom = np.where(count > 0, total / np.maximum(count, 1), usual * customers.level)
    return World(customers, merchants, life, honest, custom, days)


def cases(rate: float, customers: int, days: float) -> int:
    """How many cases a rate in 1,000 customers' days makes."""
    return round(rate * customers * days / 1000)


def card_testing(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """Bursts of 6 to 15 small payments within minutes, by one unknown device, at several online merchants."""
    count = cases(rate, len(world.customers), world.days)
    case, place = _expand(6 + np.floor(10 * generator.random(count) ** 1.5).astype(np.int64))
    begin = _begin(count, world.days, 600, blend, generator)
    victim = generator.integers(0, len(world.customers), count)
    at_once = generator.random(count) < SKIMMED
    own = world.honest.where(_own_payments(world, np.arange(len(world.honest)), count, 600, generator))
    if len(own):
        victim = np.where(at_once, own.customer, victim)
        begin = np.where(at_once, own.second + generator.uniform(30, 1200, count), begin)
    second = begin[case] + _since_first(case, place, generator.uniform(4, 24, len(case)) * blend.stretch)
    device = stranger_code(2 * np.arange(count), generator.random(count) < 0.5, len(world.customers))
    return Rows(
        customer=victim[case],
        second=second,
        dollars=np.clip(generator.lognormal(np.log(1.2), 0.45, len(case)), 0.5, 8.0),
        city=_seen_city(world, victim, blend, generator)[case],
        merchant=_tours(world.merchants.online, world, count, generator)[case, place],
        device=device[case],
        **_named("card_testing", len(case)),
    )


def account_takeover(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """3 to 7 purchases in 30 to 120 minutes by a new device, larger than the customer's custom."""
    count = cases(rate, len(world.customers), world.days)
    sizes = generator.integers(5, 10, count)
    case, place = _expand(sizes)
    lasting = generator.uniform(1800, 5400, count) * min(blend.stretch, 1.0)
    begin = _begin(count, world.days, 7200, blend, generator)
    second = begin[case] + _spaced(case, place, sizes, lasting, generator)
    victim = generator.integers(0, len(world.customers), count)
    device = stranger_code(2 * np.arange(count) + 1, generator.random(count) < 0.5, len(world.customers))
    return Rows(
        customer=victim[case],
        second=second,
        dollars=_taken(world, victim[case], 8.5, blend, generator),
        city=_seen_city(world, victim, blend, generator)[case],
        merchant=_shopped(world, victim, case, place, blend, generator),
        device=device[case],
        **_named("account_takeover", len(case)),
    )


def cloned_card(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """3 to 7 purchases over some hours with the customer's card, far from where the customer has just paid."""
    wanted = cases(rate, len(world.customers), world.days)
    own = world.honest
    home = np.flatnonzero(own.city == world.customers.home[own.customer])
    anchor = _own_payments(world, home, wanted, 0.3 * DAY_SECONDS, generator)
    victim, count = own.customer[anchor], len(anchor)
    sizes = generator.integers(4, 9, count)
    case, place = _expand(sizes)
    lasting = generator.uniform(3600, 5 * 3600, count)
    begin = own.second[anchor] + generator.uniform(60, 5400, count)
    far = np.where(DISTANCES_KM >= 1000, 1.0, 0.0)[world.customers.home[victim]]
    city = _choose_in_row(far, generator)
    merchant = np.empty(len(case), dtype=np.int64)
    for number in range(len(CITIES)):
        here = city == number
        tour = _tours(world.merchants.in_city(number), world, int(here.sum()), generator)
        rank = (np.cumsum(here) - 1)[case]
        chosen = here[case]
        merchant[chosen] = tour[rank[chosen], place[chosen]]
    return Rows(
        customer=victim[case],
        second=begin[case] + _spaced(case, place, sizes, lasting, generator),
        dollars=_taken(world, victim[case], 6.0, blend, generator),
        city=city[case],
        merchant=merchant,
        device=device_code(victim[case], CARD, len(world.customers)),
        **_named("cloned_card", len(case)),
    )


def compromised_merchant(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """Charges at a small shop's abused terminal, for 10 to 20 days, on local cards that were never used there."""
    count = cases(rate, len(world.customers), world.days)
    shops = _small_shops(world)
    shop = generator.permutation(shops)[:count]
    count = len(shop)
    span = world.days + 7
    begin = (np.arange(count) + generator.random(count)) * span / max(count, 1) - 10  # one after the other
    lasting = generator.uniform(10, 20, count)
    sizes = np.round(lasting * generator.uniform(2.5, 4.5, count)).astype(np.int64)
    case, _ = _expand(sizes)
    day = np.floor(begin[case] + lasting[case] * generator.random(len(case)) ** 0.4)
    second = day * DAY_SECONDS + _time_of_day(len(case), 2 * blend.night, generator)
    victim = np.concatenate(
        [np.empty(0, dtype=np.int64)]
        + [np.resize(generator.permutation(_strangers(world, m)), n) for m, n in zip(shop, sizes, strict=True)]
    )
    return Rows(
        customer=victim,
        second=second,
        dollars=_taken(world, victim, 7.5, blend, generator),
        city=world.merchants.city[shop][case],
        merchant=shop[case],
        device=device_code(victim, CARD, len(world.customers)),
        **_named("compromised_merchant", len(case)),
    )


def cash_out(world: World, rate: float, drift_day: int, blend: Blend, generator: np.random.Generator) -> Rows:
    """3 to 6 gift cards bought 5 to 20 minutes apart on the victim's own device, by a caller who steers the victim."""
    days = world.days - drift_day
    count = cases(rate, len(world.customers), days)
    case, place = _expand(generator.integers(3, 7, count))
    begin = drift_day * DAY_SECONDS + _begin(count, days, 7200, blend, generator)
    victim = generator.integers(0, len(world.customers), count)
    cards = world.merchants.online[world.merchants.category[world.merchants.online] == "Gift Cards"]
    dollars = _taken(world, victim[case], 2.0, blend, generator)
    phone = np.where(begin >= world.life.phone[victim], NEXT_MOBILE, MOBILE)
    device = np.where(world.customers.mobile_share[victim] > 0, phone, CARD)
    return Rows(
        customer=victim[case],
        second=begin[case] + _since_first(case, place, generator.uniform(300, 1200, len(case))),
        dollars=np.maximum(np.round(dollars / 25), 1) * 25,
        city=world.customers.home[victim][case],
        merchant=draw(cards, world.merchants, len(case), generator),
        device=device_code(victim, device, len(world.customers))[case],
        **_named("cash_out", len(case)),
    )


def _own_payments(
    world: World, among: np.ndarray, count: int, longest_seconds: float, generator: np.random.Generator
) -> np.ndarray:
    """Positions of `count` honest payments spread evenly over the stream, all at least `longest_seconds` before its end."""
    second = world.honest.second
    among = among[second[among] < world.days * DAY_SECONDS - longest_seconds]
    drawn = generator.choice(among, CANDIDATES * count if len(among) else 0)
    return drawn[np.argsort(second[drawn], kind="stable")].reshape(-1, CANDIDATES)[:, 0]


def _named(scenario: str, count: int) -> dict[str, np.ndarray]:
    return {
        "scenario": np.full(count, SCENARIOS.index(scenario), dtype=np.int64),
        "hard_negative": np.zeros(count, dtype=np.int64),
    }


def _expand(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each payment the case it belongs to and its place in it."""
    case = np.repeat(np.arange(len(sizes)), sizes)
    return case, np.arange(len(case)) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _since_first(case: np.ndarray, place: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Seconds since the case's first payment when each follows the one before by its `gap`."""
    total = np.cumsum(np.where(place == 0, 0.0, gap))
    return total - total[place == 0][case]


def _spaced(
    case: np.ndarray, place: np.ndarray, sizes: np.ndarray, lasting: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Seconds since the case's first payment: evenly over `lasting` with some jitter, first and last in their places."""
    step = (lasting / np.maximum(sizes - 1, 1))[case]
    inner = (place > 0) & (place < sizes[case] - 1)
    return (place + np.where(inner, generator.uniform(-0.4, 0.4, len(case)), 0.0)) * step


def _time_of_day(count: int, night: float, generator: np.random.Generator) -> np.ndarray:
    late = generator.random(count) < night
    hour = np.where(late, generator.uniform(0, 6, count), generator.normal(15, 4, count) % 24)
    return hour * 3600


def _begin(count: int, days: float, longest_seconds: float, blend: Blend, generator: np.random.Generator) -> np.ndarray:
    """When each case begins: the cases follow one another evenly enough that each week has its share."""
    day = np.floor((np.arange(count) + generator.random(count)) * days / max(count, 1))
    second = day * DAY_SECONDS + _time_of_day(count, blend.night, generator)
    return np.minimum(second, days * DAY_SECONDS - longest_seconds)


def _taken(world: World, victim: np.ndarray, factor: float, blend: Blend, generator: np.random.Generator) -> np.ndarray:
    """Dollars: the victim's custom times about `factor`."""
    return world.custom[victim] * factor**blend.amount_exponent * generator.lognormal(0.0, 0.35, len(victim))


def _seen_city(world: World, victim: np.ndarray, blend: Blend, generator: np.random.Generator) -> np.ndarray:
    """Where a theft over the internet seems to come from: the victim's city or any."""
    near = generator.random(len(victim)) < blend.at_home
    return np.where(near, world.customers.home[victim], generator.integers(0, len(CITIES), len(victim)))


def _tours(among: np.ndarray, world: World, count: int, generator: np.random.Generator) -> np.ndarray:
    """For each of `count` thieves an order of merchants to visit, none twice, shape (count, len(among))."""
    taste = 0.5 * np.log(world.merchants.popularity[among]) + generator.gumbel(size=(count, len(among)))
    return among[np.argsort(-taste, axis=1, kind="stable")]


def _shopped(
    world: World, victim: np.ndarray, case: np.ndarray, place: np.ndarray, blend: Blend, generator: np.random.Generator
) -> np.ndarray:
    known = generator.random(len(case)) < blend.known_merchants
    favourites = world.customers.favourites[victim]
    online = world.merchants.city[favourites] == ONLINE
    best = favourites[np.arange(len(victim)), online.argmax(axis=1)]
    tour = _tours(world.merchants.online, world, len(victim), generator)
    return np.where(known & online.any(axis=1)[case], best[case], tour[case, place])


def _choose_in_row(weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    total = weights.cumsum(axis=1)
    return (total <= generator.random(len(weights))[:, None] * total[:, -1:]).sum(axis=1)


def _small_shops(world: World) -> np.ndarray:
    """Local shops with no more custom than the median shop, in cities where others live; machines left out."""
    custom = np.bincount(world.honest.merchant, minlength=len(world.merchants.city))
    local = (world.merchants.city >= 0) & ~np.isin(world.merchants.category, SMALL_PAYMENTS)
    small = local & (custom > 0) & (custom <= np.median(custom[local]))
    return np.array([shop for shop in np.flatnonzero(small) if len(_strangers(world, shop))], dtype=np.int64)


def _strangers(world: World, shop: int) -> np.ndarray:
    """The customers who live in the shop's city and never paid there."""
    known = world.honest.customer[world.honest.merchant == shop]
    living = world.customers.home == world.merchants.city[shop]
    living[known] = False
    return np.flatnonzero(living)
