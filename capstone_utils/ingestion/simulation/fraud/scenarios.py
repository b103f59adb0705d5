"""Four fraud scenarios, and a fifth from the drift day on.

docs/data_card.md has their figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capstone_utils.errors import InvalidValue
from capstone_utils.ingestion.arrays import Array
from capstone_utils.ingestion.simulation.customers import CARD, DESKTOP, MOBILE, NEXT_MOBILE, device_code, stranger_code
from capstone_utils.ingestion.simulation.fraud.cases import (
    begin_times,
    case_count,
    expand,
    since_first,
    spaced,
    time_of_day,
)
from capstone_utils.ingestion.simulation.fraud.thieves import (
    Blend,
    World,
    far_city,
    own_payments,
    seen_city,
    shops,
    sites,
    small_shops,
    stolen_dollars,
    strangers,
    tours,
)
from capstone_utils.ingestion.simulation.hard_negatives import DISTANCES_KM
from capstone_utils.ingestion.simulation.purchases import draw
from capstone_utils.ingestion.simulation.rows import SCENARIOS, Rows
from capstone_utils.transaction import DAY_SECONDS

SKIMMED = 0.5  # share of card tests that follow soon on a payment of the victim's own, where the card was read
TESTING_GAP_SECONDS = (4.0, 24.0)  # between the payments of a card test
TESTING_DOLLARS, TESTING_SPREAD = 1.2, 0.45  # median, and standard deviation of the logarithm
TESTING_LIMITS = (0.5, 8.0)  # dollars
FAR_KM = 1000.0  # least distance of a cloned card from the victim's home


@dataclass(frozen=True)
class FraudRates:
    """Cases of each scenario in 1,000 customers' days.

    Those of `cash_out` count only the days from the drift day on.
    """

    card_testing: float = 0.6
    account_takeover: float = 0.7
    cloned_card: float = 0.7
    compromised_merchant: float = 0.09
    cash_out: float = 0.80

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, (int, float)) or not 0 <= value <= 100:
                raise InvalidValue(f"fraud.{name}={value!r} is not a rate from 0 to 100 cases in 1,000 customers' days")


def card_testing(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """Bursts of 6 to 15 small payments, seconds apart, by one unknown device, each at another online merchant."""
    count = case_count(rate, len(world.customers), world.days)
    case, place = expand(6 + np.floor(10 * generator.random(count) ** 1.5).astype(np.int64))
    begin = begin_times(count, world.days, 600, blend.night, generator)
    victim = generator.integers(0, len(world.customers), count)
    soon = generator.random(count) < SKIMMED
    own = world.honest.where(own_payments(world, np.arange(len(world.honest)), count, 600, generator))
    if len(own):
        victim = np.where(soon, own.customer, victim)
        begin = np.where(soon, own.second + generator.uniform(30, 1200, count), begin)
    second = begin[case] + since_first(case, place, generator.uniform(*TESTING_GAP_SECONDS, len(case)) * blend.stretch)
    device = stranger_code(2 * np.arange(count), generator.random(count) < 0.5, len(world.customers))
    return Rows(
        customer=victim[case],
        second=second,
        dollars=card_testing_dollars(len(case), generator),
        city=seen_city(world, victim, blend, generator)[case],
        merchant=tours(world.merchants.online, world, count, generator)[case, place],
        device=device[case],
        **_scenario_columns("card_testing", len(case)),
    )


def card_testing_dollars(count: int, generator: np.random.Generator) -> Array:
    """The amounts of `count` payments that only try whether a card works. Shape (count,)."""
    return np.clip(generator.lognormal(np.log(TESTING_DOLLARS), TESTING_SPREAD, count), *TESTING_LIMITS)


def account_takeover(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """5 to 9 payments online in 30 to 90 minutes by an unknown device, much larger than the victim's usual amount."""
    count = case_count(rate, len(world.customers), world.days)
    sizes = generator.integers(5, 10, count)
    case, place = expand(sizes)
    duration = generator.uniform(1800, 5400, count) * min(blend.stretch, 1.0)
    begin = begin_times(count, world.days, 7200, blend.night, generator)
    second = begin[case] + spaced(case, place, sizes, duration, generator)
    victim = generator.integers(0, len(world.customers), count)
    device = stranger_code(2 * np.arange(count) + 1, generator.random(count) < 0.5, len(world.customers))
    return Rows(
        customer=victim[case],
        second=second,
        dollars=stolen_dollars(world, victim[case], 8.5, blend, generator),
        city=seen_city(world, victim, blend, generator)[case],
        merchant=sites(world, victim, case, place, blend, generator),
        device=device[case],
        **_scenario_columns("account_takeover", len(case)),
    )


def cloned_card(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """4 to 8 payments in 1 to 5 hours with the victim's card, in shops far from where the victim has just paid."""
    target = case_count(rate, len(world.customers), world.days)
    own = world.honest
    home = np.flatnonzero(own.city == world.customers.home[own.customer])
    anchor = own_payments(world, home, target, 0.3 * DAY_SECONDS, generator)
    victim, count = own.customer[anchor], len(anchor)
    sizes = generator.integers(4, 9, count)
    case, place = expand(sizes)
    duration = generator.uniform(3600, 5 * 3600, count)
    begin = own.second[anchor] + generator.uniform(60, 5400, count)
    city = far_city((DISTANCES_KM >= FAR_KM)[world.customers.home[victim]], generator)
    merchant = shops(world, city, case, place, generator)
    return Rows(
        customer=victim[case],
        second=begin[case] + spaced(case, place, sizes, duration, generator),
        dollars=stolen_dollars(world, victim[case], 6.0, blend, generator),
        city=city[case],
        merchant=merchant,
        device=device_code(victim[case], CARD, len(world.customers)),
        **_scenario_columns("cloned_card", len(case)),
    )


def compromised_merchant(world: World, rate: float, blend: Blend, generator: np.random.Generator) -> Rows:
    """25 to 90 payments at a small shop's abused terminal, in 8 to 20 days, by local cards never used there before."""
    count = case_count(rate, len(world.customers), world.days)
    shop = generator.permutation(small_shops(world))[:count]
    count = len(shop)
    span = world.days + 7
    begin = (np.arange(count) + generator.random(count)) * span / max(count, 1) - 10  # one after the other
    duration = generator.uniform(10, 20, count)
    sizes = np.round(duration * generator.uniform(2.5, 4.5, count)).astype(np.int64)
    case, _ = expand(sizes)
    day = np.floor(begin[case] + duration[case] * generator.random(len(case)) ** 0.4)
    second = day * DAY_SECONDS + time_of_day(len(case), 2 * blend.night, generator)
    victim = np.concatenate(
        [np.empty(0, dtype=np.int64)]
        + [np.resize(generator.permutation(strangers(world, m)), n) for m, n in zip(shop, sizes, strict=True)]
    )
    return Rows(
        customer=victim,
        second=second,
        dollars=stolen_dollars(world, victim, 7.5, blend, generator),
        city=world.merchants.city[shop][case],
        merchant=shop[case],
        device=device_code(victim, CARD, len(world.customers)),
        **_scenario_columns("compromised_merchant", len(case)),
    )


def cash_out(world: World, rate: float, drift_day: int, blend: Blend, generator: np.random.Generator) -> Rows:
    """3 to 6 gift cards bought 5 to 20 minutes apart on the victim's own device, by a caller who steers the victim."""
    days = world.days - drift_day
    count = case_count(rate, len(world.customers), days)
    case, place = expand(generator.integers(3, 7, count))
    begin = drift_day * DAY_SECONDS + begin_times(count, days, 7200, blend.night, generator)
    victim = generator.integers(0, len(world.customers), count)
    cards = world.merchants.online[world.merchants.category[world.merchants.online] == "Gift Cards"]
    dollars = stolen_dollars(world, victim[case], 2.0, blend, generator)
    phone = np.where(begin >= world.life.phone[victim], NEXT_MOBILE, MOBILE)
    device = np.where(world.customers.mobile_share[victim] > 0, phone, DESKTOP)
    return Rows(
        customer=victim[case],
        second=begin[case] + since_first(case, place, generator.uniform(300, 1200, len(case))),
        dollars=np.maximum(np.round(dollars / 25), 1) * 25,
        city=world.customers.home[victim][case],
        merchant=draw(cards, world.merchants, len(case), generator),
        device=device_code(victim, device, len(world.customers))[case],
        **_scenario_columns("cash_out", len(case)),
    )


def _scenario_columns(scenario: str, count: int) -> dict[str, Array]:
    return {
        "scenario": np.full(count, SCENARIOS.index(scenario), dtype=np.int64),
        "hard_negative": np.zeros(count, dtype=np.int64),
    }
