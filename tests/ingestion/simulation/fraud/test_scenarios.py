"""Each scenario is held to the data card, over the cases of four streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capstone_utils.course.materials import COURSE
from capstone_utils.ingestion.places import distance_km
from capstone_utils.ingestion.simulation.fraud.scenarios import FraudRates
from capstone_utils.ingestion.simulation.rows import SCENARIOS
from capstone_utils.ingestion.simulation.simulator import simulate

UNIT_SECONDS = {"seconds": 1, "minutes": 60, "days": 86_400}
SHOP = "compromised_merchant"
scenarios = pytest.mark.parametrize("scenario", SCENARIOS[1:])


@pytest.fixture(scope="module")
def thefts(streams: list[pd.DataFrame]) -> pd.DataFrame:
    """The payments of all cases but those that the beginning or the end of the stream may have cut."""
    found = []
    for number, frame in enumerate(streams):
        cases = frame[frame["fraud"]].assign(stream=number).groupby(["stream", "case"])
        shop, first, last = (
            cases[name].transform(how) for name, how in (("scenario", "first"), ("day", "min"), ("day", "max"))
        )
        whole = np.where(shop == SHOP, (first > 10) & (last < 52), last < 63)
        found.append(frame[frame["fraud"]].assign(stream=number)[whole])
    return pd.concat(found).sort_values(["stream", "case", "second"])


def own_payments(streams: list[pd.DataFrame], case: pd.DataFrame) -> pd.DataFrame:
    """The victim's own payments."""
    frame = streams[case["stream"].iloc[0]]
    return frame[(frame["user_id"] == case["user_id"].iloc[0]) & ~frame["fraud"]]


def cases_of(thefts: pd.DataFrame, scenario: str) -> list[pd.DataFrame]:
    chosen = thefts[thefts["scenario"] == scenario]
    return [case for _, case in chosen.groupby(["stream", "case"])]


@scenarios
def test_cases_come_as_often_as_the_card_says(card, streams, scenario: str) -> None:
    rate = float(card.table("Fraud scenarios")[scenario]["cases in 1,000 customers' days"])
    days = 44 if scenario == "cash_out" else 64
    found = [frame.loc[frame["scenario"] == scenario, "case"].nunique() for frame in streams]
    assert np.median(found) == round(rate * 2 * days)


@scenarios
def test_a_case_has_as_many_payments_as_the_card_says(card, thefts, scenario: str) -> None:
    fewest, most = card.numbers(card.table("Fraud scenarios")[scenario]["payments a case"])
    sizes = [len(case) for case in cases_of(thefts, scenario)]
    assert fewest <= min(sizes)
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) >= (0.7 if scenario == SHOP else 1.0) * (most - fewest)


@scenarios
def test_a_case_goes_on_at_the_pace_of_the_card(card, thefts, scenario: str) -> None:
    pace = card.table("Fraud scenarios")[scenario]["pace"]
    unit, _, way = pace.split(maxsplit=3)[-1].partition(" ")
    fewest, most = (UNIT_SECONDS[unit] * number for number in card.numbers(pace))
    times = [case["second"].to_numpy() for case in cases_of(thefts, scenario)]
    seconds = np.concatenate([np.diff(t) if way == "apart" else [np.ptp(t)] for t in times])
    slack = 86_400 if unit == "days" else 1
    assert {"apart", "in all"} >= {way}
    assert fewest - slack <= seconds.min()
    assert seconds.max() <= most + slack
    assert np.ptp(seconds) > (0.6 if scenario == SHOP else 0.9) * (most - fewest)


@scenarios
def test_thieves_take_what_the_card_says(card, thefts, scenario: str) -> None:
    amounts = card.table("Fraud scenarios")[scenario]["amounts"]
    low, high = card.numbers(amounts)
    taken = thefts[thefts["scenario"] == scenario]
    if "dollars" in amounts:
        assert taken["dollars"].min() == low
        assert high / 2 < taken["dollars"].max() <= high
    else:
        assert (taken["times_usual"] < low).mean() == pytest.approx(0.05, abs=0.02)
        assert (taken["times_usual"] > high).mean() == pytest.approx(0.05, abs=0.02)


def test_the_card_counts_the_frauds_of_the_course(card, course_payments) -> None:
    counts = course_payments["scenario"].value_counts()
    for scenario, row in card.table("Fraud scenarios").items():
        assert card.agrees(row["payments in the course"], counts.get(scenario, 0))


def test_a_card_test_tries_online_merchants_one_after_the_other_by_one_device_of_nobodys(streams, thefts) -> None:
    owned = [set(frame.loc[~frame["fraud"], "device"]) for frame in streams]
    for case in cases_of(thefts, "card_testing"):
        assert case["device"].nunique() == case["location"].nunique() == 1
        assert case["merchant"].nunique() == len(case)
        assert case["online"].all()
        assert case["device"].iloc[0] not in owned[case["stream"].iloc[0]]


def test_many_card_tests_follow_soon_on_a_payment_of_the_victims_own(card, streams, thefts) -> None:
    share, shortest, longest = card.numbers(card.table("Fraud scenarios")["card_testing"]["mark"])
    follows = []
    for case in cases_of(thefts, "card_testing"):
        own = own_payments(streams, case)["second"]
        follows.append(((case["second"].iloc[0] - own).between(shortest - 1, longest + 1)).any())
    assert np.mean(follows) * 100 == pytest.approx(share, abs=6)


def test_an_account_takeover_is_one_device_of_nobodys_that_buys_online(streams, thefts) -> None:
    owned = [set(frame.loc[~frame["fraud"], "device"]) for frame in streams]
    devices = []
    for case in cases_of(thefts, "account_takeover"):
        assert case["device"].nunique() == case["location"].nunique() == case["user_id"].nunique() == 1
        assert case["online"].all()
        assert case["device"].iloc[0] not in owned[case["stream"].iloc[0]]
        devices.append(case["device"].iloc[0])
    assert {device.split("-")[0] for device in devices} == {"mobile", "desktop"}


def test_a_cloned_card_pays_far_away_soon_after_its_owner_paid_at_home(card, streams, thefts) -> None:
    shortest, longest, nearest_km = card.numbers(card.table("Fraud scenarios")["cloned_card"]["mark"])
    for case in cases_of(thefts, "cloned_card"):
        first, own = case.iloc[0], own_payments(streams, case)
        assert case["location"].nunique() == case["device"].nunique() == 1
        assert distance_km(first["home"], first["location"]) >= nearest_km
        assert case["merchant"].nunique() == len(case)
        assert not case["online"].any()
        at_home = own[own["location"] == first["home"]]
        assert ((first["second"] - at_home["second"]) / 60).between(shortest - 0.1, longest + 0.1).any()
        assert first["device"].startswith("card-")
        assert first["device"] in set(own["device"]) or not (own["kind"] == "card").any()


def test_a_compromised_merchant_charges_locals_who_never_paid_there_and_more_towards_the_end(streams, thefts) -> None:
    late = []
    for case in cases_of(thefts, SHOP):
        frame, shop = streams[case["stream"].iloc[0]], case["merchant"].iloc[0]
        guests = frame[(frame["merchant"] == shop) & ~frame["fraud"]]
        assert not set(case["user_id"]) & set(guests["user_id"])
        assert (case["home"] == case["location"]).mean() > 0.95
        assert case["location"].nunique() == 1
        assert (case["kind"] == "card").all()
        assert len(guests) < len(frame) / frame["merchant"].nunique()
        late.append((case["second"] > case["second"].iloc[[0, -1]].mean()).mean())
    assert np.median(late) > 0.7


def test_cash_out_is_gift_cards_on_the_victims_own_device_from_home(card, streams, thefts) -> None:
    own = [frame[~frame["fraud"]].groupby("user_id")["device"].agg(set) for frame in streams]
    (multiple,) = card.numbers(card.table("Fraud scenarios")["cash_out"]["mark"])
    known = []
    for case in cases_of(thefts, "cash_out"):
        assert case["device"].nunique() == 1
        assert case["merchant"].str.endswith("Gift Cards").all()
        assert (case["dollars"] // 1 % multiple == 0).all()
        assert (case["location"] == case["home"]).all()
        known.append(case["device"].iloc[0] in own[case["stream"].iloc[0]][case["user_id"].iloc[0]])
    assert np.mean(known) > 0.9  # the others own that device and pay by it this once


@scenarios
def test_no_thief_puts_a_plastic_card_into_a_web_site(thefts, scenario: str) -> None:
    """Nor do honest customers with their own card: it would give the thief away."""
    mine = thefts[thefts["scenario"] == scenario]
    assert ((mine["kind"] == "card") & mine["online"]).sum() == 0


def test_the_difficulty_changes_what_the_card_says(card, payments_of) -> None:
    table = card.table("Difficulty")
    for difficulty in ("easy", "standard", "hard"):
        frame = payments_of(simulate(replace(COURSE, difficulty=difficulty)))
        of = dict(list(frame.groupby("scenario")))
        takeover, tests = of["account_takeover"], of["card_testing"]
        first = takeover.drop_duplicates("device")
        visited = frame.loc[~frame["fraud"], ["user_id", "merchant"]].drop_duplicates()
        night = of[SHOP]["hour"] < 6
        computed = {
            "account takeover: dollars against the victim's mean, median": takeover["times_usual"].median(),
            "account takeover: share of cases in the victim's own city": (first["location"] == first["home"]).mean(),
            "account takeover: share of cases begun from midnight to 06:00": (first["hour"] < 6).mean(),
            "account takeover: share of payments where the victim shops too": takeover.merge(visited).shape[0]
            / len(takeover),
            "card testing: seconds from one payment to the next, median": tests.groupby("device")["second"]
            .diff()
            .median(),
            "compromised merchant: share of payments from midnight to 06:00": night.mean(),
            "share of money that is stolen": frame.loc[frame["fraud"], "dollars"].sum() / frame["dollars"].sum(),
        }
        said = {measure: row[difficulty] for measure, row in table.items()}
        assert said.keys() == computed.keys()
        assert {m: computed[m] for m in said if not card.agrees(said[m], computed[m])} == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"card_testing": -1}, r"fraud\.card_testing=-1 is not a rate from 0 to 100 cases in 1,000 customers' days"),
        ({"cash_out": 101}, r"fraud\.cash_out=101 is not a rate"),
        ({"cloned_card": float("nan")}, r"fraud\.cloned_card=nan is not a rate"),
        ({"account_takeover": "often"}, r"fraud\.account_takeover='often' is not a rate"),
    ],
)
def test_a_wrong_rate_names_the_field_and_the_value(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        FraudRates(**fields)
