"""The four hundred merchants: category, typical ticket, and city or internet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capstone_utils.ingestion.arrays import Floats, Integers, Texts
from capstone_utils.ingestion.places import PLACES

ONLINE, EVERYWHERE = -1, -2  # in `city`: sells over the internet; has a branch in each city
GIANTS = ("Amazon", "Walmart", "Target")  # the best known; one sells online, two have branches everywhere

# Category: typical ticket in dollars.
SHOPS = {
    "Grocery": 42.0,
    "Market": 30.0,
    "Bakery": 9.0,
    "Restaurant": 34.0,
    "Diner": 19.0,
    "Grill": 27.0,
    "Cafe": 7.0,
    "Coffee": 6.0,
    "Fuel": 40.0,
    "Pharmacy": 21.0,
    "Clothing": 60.0,
    "Electronics": 80.0,
    "Hardware": 48.0,
    "Parking": 3.5,
    "Transit": 2.8,
    "Vending": 2.2,
}
SITES = {
    "Books": 18.0,
    "Games": 24.0,
    "Streaming": 11.0,
    "Fashion": 62.0,
    "Devices": 80.0,
    "Gift Cards": 60.0,
    "Travel": 90.0,
    "Home Goods": 55.0,
    "Software": 30.0,
    "Beauty": 33.0,
    "Sports": 50.0,
}
SMALL_PAYMENTS = ("Parking", "Transit", "Vending")
SITES_A_CATEGORY = 7
FIRST_NAMES = (  # noqa: SIM905
    "Maple Harbor Cedar Summit River Juniper Falcon Willow Copper Granite Lantern Meadow Orchard Pioneer Prairie "
    "Quarry Redwood Saffron Silver Sparrow Sunset Thistle Timber Valley Velvet Amber Birch Canyon Clover Ember"
).split()


@dataclass(frozen=True)
class Merchants:
    """The merchants as columns of equal length; a merchant is a position."""

    name: Texts  # text
    category: Texts  # text
    city: Integers  # position in PLACES, ONLINE or EVERYWHERE
    ticket: Floats  # typical amount in dollars
    popularity: Floats  # relative weight among the customers who can reach it

    @property
    def online(self) -> Integers:
        """Positions of the merchants that sell over the internet."""
        return np.flatnonzero(self.city == ONLINE)

    def in_city(self, city: int) -> Integers:
        """Positions of the merchants with a shop in the city, small-payment machines left out."""
        here = (self.city == city) | (self.city == EVERYWHERE)
        return np.flatnonzero(here & ~np.isin(self.category, SMALL_PAYMENTS))

    def machines(self) -> Integers:
        """Positions of each city's parking, transit and vending merchants, shape (cities, 3)."""
        machine = np.isin(self.category, SMALL_PAYMENTS)
        return np.stack([np.flatnonzero((self.city == city) & machine) for city in range(len(PLACES))])


def make_merchants(generator: np.random.Generator) -> Merchants:
    """Merchants with fixed names, and with tickets and popularity drawn at random."""
    rows: list[tuple[str, str, int, float]] = [
        ("Amazon", "General", ONLINE, 34.0),
        ("Walmart", "General", EVERYWHERE, 40.0),
        ("Target", "General", EVERYWHERE, 36.0),
    ]
    for number, (category, ticket) in enumerate(SHOPS.items()):
        for city in range(len(PLACES)):
            first = FIRST_NAMES[(city + 7 * number) % len(FIRST_NAMES)]
            rows.append((f"{first} {category}", category, city, ticket))
    for number, (category, ticket) in enumerate(SITES.items()):
        for site in range(SITES_A_CATEGORY):
            first = FIRST_NAMES[(4 * site + 11 * number) % len(FIRST_NAMES)]
            rows.append((f"{first} {category}", category, ONLINE, ticket))
    names, categories, cities, tickets = (np.array(column) for column in zip(*rows, strict=True))
    popularity = (
        generator.lognormal(0.0, 0.7, len(rows)) * (30.0 / tickets) ** 0.7
    )  # expensive things are bought seldom
    popularity[: len(GIANTS)] = 25.0
    jitter = generator.lognormal(0.0, 0.15, len(rows))
    return Merchants(names, categories, cities, tickets * jitter, popularity)
