"""The places of transactions: twenty cities of the United States, and the distances between them."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import NamedTuple

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


class Place(NamedTuple):
    """A city: degrees north and east, and its relative weight among customers' homes."""

    latitude: float
    longitude: float
    weight: float


PLACES: dict[str, Place] = {
    "NY": Place(40.7128, -74.0060, 8.3),
    "LA": Place(34.0522, -118.2437, 3.9),
    "SF": Place(37.7749, -122.4194, 1.8),
    "Chicago": Place(41.8781, -87.6298, 2.7),
    "Houston": Place(29.7604, -95.3698, 2.3),
    "Phoenix": Place(33.4484, -112.0740, 1.6),
    "Philadelphia": Place(39.9526, -75.1652, 1.6),
    "San Antonio": Place(29.4241, -98.4936, 1.5),
    "San Diego": Place(32.7157, -117.1611, 1.4),
    "Dallas": Place(32.7767, -96.7970, 1.3),
    "Austin": Place(30.2672, -97.7431, 1.0),
    "San Jose": Place(37.3382, -121.8863, 1.0),
    "Seattle": Place(47.6062, -122.3321, 1.0),
    "Portland": Place(45.5152, -122.6784, 1.0),
    "Denver": Place(39.7392, -104.9903, 1.0),
    "Boston": Place(42.3601, -71.0589, 1.0),
    "Washington": Place(38.9072, -77.0369, 1.0),
    "Atlanta": Place(33.7490, -84.3880, 1.0),
    "Miami": Place(25.7617, -80.1918, 1.0),
    "Orlando": Place(28.5384, -81.3789, 1.0),
}


def haversine_km(a: Place, b: Place) -> float:
    """Kilometres between two places over a spherical earth.

    The haversine formula: R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984), page 159.
    """
    north, east = radians(b.latitude - a.latitude), radians(b.longitude - a.longitude)
    chord = sin(north / 2) ** 2 + cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(chord))


_DISTANCES = {(a, b): haversine_km(PLACES[a], PLACES[b]) for a in PLACES for b in PLACES}


def distance_km(a: str, b: str) -> float | None:
    """Kilometres between two cities by name; None when either is unknown.

    >>> round(distance_km("NY", "LA"))
    3936
    >>> distance_km("NY", "Atlantis") is None
    True
    """
    return _DISTANCES.get((a, b))
