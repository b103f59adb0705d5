from __future__ import annotations

from math import pi

import pytest

from capstone_utils.ingestion.places import EARTH_RADIUS_KM, PLACES, Place, distance_km, haversine_km


@pytest.mark.parametrize(
    ("a", "b", "share_of_circumference"),
    [
        (Place(90, 0, 1), Place(0, 30, 1), 1 / 4),  # pole to equator
        (Place(0, 170, 1), Place(0, -170, 1), 20 / 360),  # across the date line
        (Place(-40, 10, 1), Place(35, 10, 1), 75 / 360),  # along a meridian
        (Place(60, -90, 1), Place(60, 90, 1), 60 / 360),  # over the pole
    ],
)
def test_the_haversine_agrees_with_arcs_whose_length_is_known(
    a: Place, b: Place, share_of_circumference: float
) -> None:
    assert haversine_km(a, b) == pytest.approx(2 * pi * EARTH_RADIUS_KM * share_of_circumference)


@pytest.mark.parametrize(
    ("a", "b", "km"),  # on the WGS 84 ellipsoid; the sphere is off by up to half a percent
    [
        ("NY", "LA", 3944),
        ("NY", "SF", 4139),
        ("LA", "SF", 559),
        ("Chicago", "Houston", 1512),
        ("Seattle", "Miami", 4403),
    ],
)
def test_cities_are_as_far_apart_as_they_are(a: str, b: str, km: float) -> None:
    assert distance_km(a, b) == pytest.approx(km, rel=0.005)


def test_distances_are_symmetric_and_nothing_from_a_city_to_itself() -> None:
    for a in PLACES:
        assert distance_km(a, a) == 0
        for b in PLACES:
            assert distance_km(a, b) == pytest.approx(distance_km(b, a))
            assert a == b or distance_km(a, b) > 60


def test_an_unknown_city_has_no_distance() -> None:
    assert distance_km("NY", "Atlantis") is None
    assert distance_km("Atlantis", "Atlantis") is None
