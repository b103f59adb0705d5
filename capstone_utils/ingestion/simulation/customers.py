"""The customers: homes, levels of spending, favourite merchants, devices and daily rhythms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers
from capstone_utils.ingestion.places import PLACES
from capstone_utils.ingestion.simulation.merchants import Merchants

FAVOURITES = 15
ZIPF_EXPONENT = 0.9  # how fast purchases fall from the favourite merchant to the fifteenth
CARD, MOBILE, DESKTOP, NEXT_MOBILE, FAMILY_CARD, STRANGER = range(6)  # which device; a customer owns the first five
KINDS = ("card", "mobile", "desktop", "mobile", "card")  # by those numbers


@dataclass(frozen=True)
class Customers:
    """The customers as columns of equal length; a customer is a position."""

    home: Integers  # position in PLACES
    level: Floats  # factor on a merchant's typical ticket
    rate: Floats  # purchases a day
    weekend: Floats  # factor on the rate on Saturdays and Sundays
    hour: Floats  # hour of the day around which purchases lie
    hour_spread: Floats  # their standard deviation in hours
    favourites: Integers  # merchants, the favourite first, shape (customers, FAVOURITES)
    mobile_share: Floats  # of purchases over the internet, the share made by mobile and not by desktop
    wallet_share: Floats  # of purchases in shops, the share paid by mobile and not by card

    def __len__(self) -> int:
        return len(self.home)


def make_customers(count: int, merchants: Merchants, rate: float, generator: np.random.Generator) -> Customers:
    """`count` customers who make `rate` purchases a day on average."""
    weights = np.array([place.weight for place in PLACES.values()])
    home = generator.choice(len(PLACES), count, p=weights / weights.sum())
    has_mobile, has_desktop = generator.random(count) < 0.92, generator.random(count) < 0.6
    mobile_share = np.where(has_desktop, generator.beta(0.6, 0.4, count), 1.0)
    return Customers(
        home=home,
        level=generator.lognormal(0.0, 0.35, count),
        rate=generator.gamma(2.5, rate / 2.5, count),
        weekend=generator.lognormal(0.1, 0.3, count),
        hour=generator.normal(14.5, 1.8, count),
        hour_spread=generator.uniform(2.5, 4.5, count),
        favourites=_favourites(home, merchants, generator),
        mobile_share=np.where(has_mobile, mobile_share, 0.0),
        wallet_share=np.where(has_mobile & (generator.random(count) < 0.35), generator.beta(1.5, 2.0, count), 0.0),
    )


def _favourites(home: Array, merchants: Merchants, generator: np.random.Generator) -> Array:
    """Each customer's favourites, by popularity times personal taste, in reach of home."""
    favourites = np.empty((len(home), FAVOURITES), dtype=np.int64)
    for city in range(len(PLACES)):
        living = np.flatnonzero(home == city)
        reach = np.concatenate([merchants.in_city(city), merchants.online])
        pull = np.where(merchants.city[reach] < 0, 0.25, 1.0) * merchants.popularity[reach]
        taste = np.log(pull) + generator.gumbel(size=(len(living), len(reach)))
        favourites[living] = reach[np.argsort(-taste, axis=1, kind="stable")[:, :FAVOURITES]]
    return favourites


def device_code(customers: Integers, device: int | Integers, count: int) -> Integers:
    """The number of each customer's `device` (CARD to FAMILY_CARD) among `count` customers."""
    return device * count + customers


def stranger_code(cases: Integers, desktop: Booleans, count: int) -> Integers:
    """The number of a device that no customer owns, one for each case number and kind."""
    return STRANGER * count + 2 * cases + desktop


def device_names(codes: Array, count: int, generator: np.random.Generator) -> Array:
    """Names such as "mobile-3f2a" for distinct device numbers; the digits are random and reveal nothing."""
    digits = 4
    while 16**digits <= codes.max(initial=0):
        digits += 1
    numbers = generator.permutation(16**digits)[codes]
    owned = codes < STRANGER * count
    kind = np.where(owned, codes // count, np.where((codes - STRANGER * count) % 2, DESKTOP, MOBILE))
    return np.array([f"{KINDS[k]}-{n:0{digits}x}" for k, n in zip(kind.tolist(), numbers.tolist(), strict=True)])
