from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from capstone_utils.ingestion.places import distance_km
from capstone_utils.ingestion.simulation.customers import make_customers
from capstone_utils.ingestion.simulation.hard_negatives import (
    CITIES,
    DISTANCES_KM,
    HardNegativeRates,
    make_life,
)
from capstone_utils.ingestion.simulation.merchants import SMALL_PAYMENTS, make_merchants
from capstone_utils.ingestion.simulation.purchases import purchases
from capstone_utils.ingestion.simulation.rows import HARD_NEGATIVES
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.transaction import DAY_SECONDS

MONTHS = 63 / 30


@pytest.fixture(scope="module")
def customers():
    generator = np.random.default_rng(0)
    return make_customers(20_000, make_merchants(generator), 2.4, generator)


@pytest.fixture(scope="module")
def life(customers):
    return make_life(customers, 63, HardNegativeRates(), np.random.default_rng(0))


@pytest.fixture(scope="module")
def honest(streams) -> pd.DataFrame:
    """Honest payments of two streams, each customer's in order of time."""
    frames = [frame[~frame["fraud"]].copy() for frame in streams[:2]]
    frames[1]["user_id"] += 10_000
    frames[1]["device"] += " of the other stream"
    return pd.concat(frames).sort_values(["user_id", "second"], ignore_index=True)


def test_the_card_counts_the_hard_negatives_of_the_course(card, course_payments) -> None:
    counts = course_payments["hard_negative"].value_counts()
    table = card.table("Hard negatives")
    assert list(table) == list(HARD_NEGATIVES[1:])
    for name, row in table.items():
        assert card.agrees(row["payments in the course"], counts[name])


def test_no_fraud_is_called_a_hard_negative(streams) -> None:
    assert all((frame.loc[frame["fraud"], "hard_negative"] == "none").all() for frame in streams)


def test_journeys_are_as_many_as_long_and_as_far_as_the_card_says(card, customers, life) -> None:
    row = card.table("Hard negatives")["travel"]
    rate, _ = card.numbers(row["how often"])
    shortest, longest, nearest_km, _ = card.numbers(row["figures"])
    leave, arrive, return_, back = life.trip[:, np.isfinite(life.trip[0])]
    home, city = (np.repeat(customers.home, life.blocks), life.trip_city)
    kilometres = DISTANCES_KM[home, city][np.isfinite(life.trip[0])]
    days = (return_ - arrive) / DAY_SECONDS
    assert len(leave) / len(customers) / MONTHS == pytest.approx(rate, rel=0.05)
    assert (days.min(), days.max()) == pytest.approx((shortest, longest), rel=0.01)
    assert nearest_km <= kilometres.min() < 1.2 * nearest_km
    assert (back[leave < arrive] > return_).all()


def test_travellers_pay_in_the_other_city_until_they_are_back(honest: pd.DataFrame) -> None:
    travel = honest[honest["hard_negative"] == "travel"]
    assert travel["user_id"].nunique() > 300
    kilometres = [distance_km(a, b) for a, b in zip(travel["home"], travel["location"], strict=True)]
    assert np.mean(np.array(kilometres) >= 250) > 0.99  # a home guessed from few payments may be wrong
    at_home = honest[honest["hard_negative"].isin(["none", "new_phone", "gift_season"])]
    assert (at_home["location"] == at_home["home"]).mean() > 0.999


def test_nobody_moves_faster_than_by_plane_unless_two_share_a_card(card, honest: pd.DataFrame) -> None:
    def fastest(frame: pd.DataFrame) -> float:
        before = frame.shift()
        moved = (frame["user_id"] == before["user_id"]) & (frame["location"] != before["location"])
        hours = (frame["second"] - before["second"])[moved] / 3600
        pairs = zip(before.loc[moved, "location"], frame.loc[moved, "location"], strict=True)
        return float((np.array([distance_km(a, b) for a, b in pairs]) / hours).max())

    by_plane = card.numbers(card.table("Hard negatives")["travel"]["figures"])[-1]
    assert 0.7 * by_plane < fastest(honest[honest["hard_negative"] != "shared_card"]) <= by_plane
    assert fastest(honest) > 2 * by_plane


def test_new_phones_come_as_often_as_the_card_says_and_stay(card, customers, life, honest: pd.DataFrame) -> None:
    row = card.table("Hard negatives")["new_phone"]
    with_phone = customers.mobile_share > 0
    assert np.isfinite(life.phone[with_phone]).mean() / MONTHS == pytest.approx(
        card.numbers(row["how often"])[0], rel=0.05
    )
    assert not np.isfinite(life.phone[~with_phone]).any()
    first_seen = honest.groupby("device")["second"].transform("min")
    tagged = honest[honest["hard_negative"] == "new_phone"]
    (days,) = card.numbers(row["figures"])
    age = (tagged["second"] - first_seen[tagged.index]) / DAY_SECONDS
    assert 0.95 * days < age.max() <= days
    assert (tagged["kind"] == "mobile").all()
    last_seen = honest.groupby("device")["second"].max()[tagged["device"].unique()]
    assert (last_seen > 50 * DAY_SECONDS).mean() > 0.5
    old = honest[(honest["kind"] == "mobile") & honest["user_id"].isin(tagged["user_id"])]
    assert (old.groupby("user_id")["device"].nunique() <= 2).all()


def test_gift_seasons_come_as_often_and_last_as_long_as_the_card_says(card, customers, life) -> None:
    row = card.table("Hard negatives")["gift_season"]
    begin, end = life.gift[:, np.isfinite(life.gift[0])]
    days = (end - begin) / DAY_SECONDS
    assert len(begin) / len(customers) / MONTHS == pytest.approx(card.numbers(row["how often"])[0], rel=0.05)
    assert (days.min(), days.max()) == pytest.approx(tuple(card.numbers(row["figures"])[:2]), rel=0.01)


def test_in_a_gift_season_people_buy_more_and_dearer_things_and_elsewhere(card, customers, life) -> None:
    _, _, more, dearer, elsewhere, usually = card.numbers(card.table("Hard negatives")["gift_season"]["figures"])
    merchants = make_merchants(np.random.default_rng(0))
    rows = purchases(customers, merchants, life, HardNegativeRates(), 63, 0, np.random.default_rng(0))
    begin, end = life.gift[:, life.block(rows.customer, rows.second)]
    has_season = np.isfinite(life.gift[0])
    giver = has_season.reshape(len(customers), -1).any(axis=1)
    season, usual = (rows.second >= begin) & (rows.second < end), giver[rows.customer] & ~np.isfinite(begin)
    season_days = np.diff(life.gift[:, has_season], axis=0).sum() / DAY_SECONDS
    usual_days = 21 * (life.blocks * giver.sum() - has_season.sum())
    assert (season.sum() / season_days) / (usual.sum() / usual_days) == pytest.approx(more, rel=0.05)
    price = rows.dollars / merchants.ticket[rows.merchant]
    single = ~np.isin(rows.hard_negative, [HARD_NEGATIVES.index(name) for name in ("shared_card", "small_payments")])
    assert np.median(price[season & single]) / np.median(price[usual & single]) == pytest.approx(dearer, rel=0.05)
    strange = (rows.merchant[:, None] != customers.favourites[rows.customer]).all(axis=1)
    assert strange[season & single].mean() * 100 == pytest.approx(elsewhere, abs=1)
    assert strange[usual & single].mean() * 100 == pytest.approx(usually, abs=1)


def test_the_other_holder_of_a_shared_card_pays_nearby_and_soon(card, customers, life, honest: pd.DataFrame) -> None:
    row = card.table("Hard negatives")["shared_card"]
    (share,) = card.numbers(row["how often"])
    shortest, longest, furthest_km = card.numbers(row["figures"])
    near_enough = (DISTANCES_KM + np.where(np.eye(len(CITIES)), np.inf, 0)).min(axis=1)[customers.home] <= furthest_km
    assert (life.family_city >= 0)[near_enough].mean() * 100 == pytest.approx(share, rel=0.1)
    assert (life.family_city[~near_enough] == -1).all()
    shared = honest[honest["hard_negative"] == "shared_card"]
    kilometres = np.array([distance_km(a, b) for a, b in zip(shared["home"], shared["location"], strict=True)])
    assert np.mean((kilometres > 0) & (kilometres <= furthest_km)) > 0.99
    own = honest[honest["hard_negative"] != "shared_card"]
    minutes = []
    for payment in shared.itertuples():
        ago = (payment.second - own.loc[own["user_id"] == payment.user_id, "second"]) / 60
        minutes.append(ago[ago >= shortest - 0.1].min())
    assert np.mean(np.array(minutes) <= longest + 0.1) > 0.97  # a traveller's own payment on the way is not made
    assert not set(shared["device"]) & set(own["device"])


def test_runs_of_small_payments_are_as_many_and_as_fast_as_the_card_says(card, honest: pd.DataFrame) -> None:
    row = card.table("Hard negatives")["small_payments"]
    fewest, most, shortest, longest = card.numbers(row["figures"])
    small = honest[honest["hard_negative"] == "small_payments"]
    gap = small["second"].diff()
    begins = (small["user_id"] != small["user_id"].shift()) | (gap > 600)
    runs = small.groupby(begins.cumsum())
    assert (runs.size().min(), runs.size().max()) == (fewest, most)
    assert shortest - 1 <= gap[~begins].min() < gap[~begins].max() <= longest + 1
    assert runs["merchant"].nunique().max() == runs["device"].nunique().max() == 1
    assert small["merchant"].str.split(" ").str[1].isin(SMALL_PAYMENTS).all()
    assert small["dollars"].quantile(0.99) < 9
    purchases = len(honest) - len(small) + runs.ngroups
    assert runs.ngroups / purchases * 100 == pytest.approx(card.numbers(row["how often"])[0], rel=0.15)


@pytest.mark.parametrize("name", HARD_NEGATIVES[1:])
def test_a_hard_negative_can_be_switched_off(name: str) -> None:
    rates = HardNegativeRates(**{name: 0.0})
    truth = simulate(SimulatorConfig(seed=1, customers=300, days=21, hard_negatives=rates)).truth
    assert set(truth["hard_negative"]) == {"none", *HARD_NEGATIVES[1:]} - {name}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"travel": -0.1}, r"hard_negatives\.travel=-0\.1 is not a rate from 0 to 1"),
        ({"new_phone": 2}, r"hard_negatives\.new_phone=2 is not a rate from 0 to 1"),
        ({"shared_card": None}, r"hard_negatives\.shared_card=None is not a rate from 0 to 1"),
    ],
)
def test_a_wrong_rate_names_the_field_and_the_value(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        HardNegativeRates(**fields)
