from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from capstone_utils.course.materials import COURSE
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.fraud.scenarios import FraudRates
from capstone_utils.ingestion.simulation.merchants import make_merchants
from capstone_utils.ingestion.simulation.reported_labels import LabelNoise
from capstone_utils.ingestion.simulation.rows import SCENARIOS
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate
from capstone_utils.transaction import Transaction

SMALL = SimulatorConfig(seed=5, customers=400, days=21)
PAYMENT = ["user_id", "amount_cents", "event_time_us", "location", "merchant", "device"]


def same(one: Simulation, other: Simulation) -> bool:
    return all(getattr(one, name).equals(getattr(other, name)) for name in ("transactions", "labels", "truth"))


def without(stream: Simulation, scenario: str, columns: list[str]) -> pd.DataFrame:
    """The other payments, as plain values."""
    kept = (stream.truth["scenario"] != scenario).to_numpy()
    frame = pd.concat([stream.transactions, stream.labels.iloc[:, 1:], stream.truth.iloc[:, 1:]], axis=1)
    return frame.loc[kept, columns].astype(object).reset_index(drop=True)


def fingerprint(frame: pd.DataFrame) -> str:
    """The first 16 digits of the SHA-256 of all values, categories as text."""
    digest = hashlib.sha256()
    for name in frame:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            digest.update("\n".join(column.cat.categories).encode())
            column = column.cat.codes
        digest.update(column.to_numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:16]


def test_the_card_says_what_the_course_stream_is(card, course, course_payments) -> None:
    assert course.config == COURSE
    frame, weekday = course_payments, course_payments["day"] % 7
    computed = {
        "payments": len(frame),
        "payments a customer and day, mean": len(frame) / COURSE.customers / COURSE.days,
        "dollars a payment, median": frame["dollars"].median(),
        "dollars a payment, mean": frame["dollars"].mean(),
        "dollars a payment, largest": frame["dollars"].max(),
        "merchants": frame["merchant"].nunique(),
        "cities": frame["location"].nunique(),
        "devices": frame["device"].nunique(),
        "share of payments online": frame["online"].mean(),
        "share of payments from 10:00 to 20:00": frame["hour"].between(10, 20, inclusive="left").mean(),
        "share of payments from midnight to 06:00": (frame["hour"] < 6).mean(),
        "payments on a Saturday for each on a Monday": ((weekday == 5).sum() / 9) / ((weekday == 0).sum() / 10),
        "fraudulent payments": frame["fraud"].sum(),
        "share of payments that are fraud": frame["fraud"].mean(),
        "share of money that is stolen": frame.loc[frame["fraud"], "dollars"].sum() / frame["dollars"].sum(),
        "share of customers robbed at least once": frame.loc[frame["fraud"], "user_id"].nunique() / COURSE.customers,
        "frauds never reported": (frame["fraud"] & ~frame["is_fraud"]).sum(),
        "honest payments disputed by mistake": (~frame["fraud"] & frame["is_fraud"]).sum(),
    }
    said = {measure: row["figure"] for measure, row in card.table("Course stream").items()}
    assert said.pop("fingerprint").strip("`") == fingerprint(course.transactions)
    assert said.keys() == computed.keys()
    assert {measure: computed[measure] for measure in said if not card.agrees(said[measure], computed[measure])} == {}


def test_the_same_configuration_gives_the_same_stream() -> None:
    assert same(simulate(SMALL), simulate(replace(SMALL)))


def test_another_seed_gives_another_stream() -> None:
    one, other = simulate(SMALL), simulate(replace(SMALL, seed=6))
    assert not np.array_equal(one.transactions["amount_cents"][:100], other.transactions["amount_cents"][:100])


def test_transactions_are_numbered_in_the_order_of_event_time_and_stay_within_their_days(course) -> None:
    times = course.transactions["event_time_us"]
    assert times.is_monotonic_increasing
    assert course.transactions["transaction_id"].tolist() == list(range(1, len(times) + 1))
    first = pd.Timestamp("2026-01-05", tz="UTC").value // 1000
    assert first <= times.iloc[0]
    assert times.iloc[-1] < first + COURSE.days * 86_400_000_000


def test_every_transaction_passes_the_wire_unchanged() -> None:
    stream = simulate(replace(SMALL, days=5))
    made = list(transactions_of(stream.transactions))
    assert len(made) == len(stream.transactions) > 1000
    assert all(Transaction.from_json(transaction.to_json()) == transaction for transaction in made)
    assert {type(value) for transaction in made for value in transaction} == {int, str}


def test_the_values_of_the_brief_are_in_the_stream(course_payments) -> None:
    assert {"NY", "LA", "SF"} <= set(course_payments["location"])
    assert {"Amazon", "Walmart", "Target"} <= set(course_payments["merchant"])
    assert set(course_payments["kind"]) == {"mobile", "desktop", "card"}


def test_the_truth_is_never_among_what_the_bank_sees(course) -> None:
    assert list(course.transactions) == ["transaction_id", *PAYMENT]
    seen = set().union(*(course.transactions[name].cat.categories for name in ("location", "merchant", "device")))
    assert not any(scenario in text for scenario in SCENARIOS for text in seen)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("drift_day", [None, 20])
def test_fraud_is_a_half_to_one_percent_of_payments(seed: int, drift_day: int | None) -> None:
    truth = simulate(SimulatorConfig(seed=seed, customers=1000, days=42, drift_day=drift_day)).truth
    assert 0.005 <= (truth["scenario"] != "legitimate").mean() <= 0.01


def test_every_week_has_its_share_of_fraud(course_payments) -> None:
    weekly = course_payments[course_payments["day"] < 63].groupby(course_payments["day"] // 7)["fraud"].mean()
    assert weekly.between(0.005, 0.01).all()


def test_people_pay_by_day_and_more_towards_the_weekend(course_payments) -> None:
    honest = course_payments[~course_payments["fraud"]]
    by_hour = honest["hour"].astype(int).value_counts().sort_index()
    assert 12 <= by_hour.idxmax() <= 17
    assert by_hour[2:5].max() < by_hour.max() / 10
    full_weeks = honest[honest["day"] < 63]
    monday, *_, thursday, friday, saturday, sunday = (full_weeks["day"] % 7).value_counts().sort_index()
    assert monday < thursday < friday
    assert min(saturday, sunday) > 1.15 * monday


def test_customers_differ_in_how_much_and_when_they_pay(course_payments) -> None:
    honest = course_payments[~course_payments["fraud"]].groupby("user_id")
    few, many = honest.size().quantile([0.1, 0.9])
    assert many > 4 * few
    early, late = honest["hour"].median().quantile([0.1, 0.9])
    assert late > early + 3


def separates(value: pd.Series, fraud: pd.Series) -> bool:
    """Whether some threshold on the value tells the two apart better than chance (Kolmogorov and Smirnov's test)."""
    return ks_2samp(value[fraud], value[~fraud]).pvalue < 0.01


def test_no_identifier_tells_fraud_from_honest_payments(course_payments) -> None:
    first_of_case = ~course_payments.duplicated(["user_id", "device", "scenario"])
    frame = course_payments[~course_payments["fraud"] | first_of_case]
    assert separates(frame["dollars"], frame["fraud"])  # so the test sees what does tell them apart
    assert not separates(frame["user_id"], frame["fraud"])
    assert not separates(frame["transaction_id"] % 10, frame["fraud"])
    assert not separates(frame["event_time_us"] % 1_000_000, frame["fraud"])


def test_a_thiefs_device_is_named_like_any_other(course_payments) -> None:
    only_fraud = course_payments.groupby("device")["fraud"].all()
    names = only_fraud.index.to_series()
    assert only_fraud.sum() > 100
    assert names.str.fullmatch("(mobile|desktop|card)-[0-9a-f]{4}").all()
    assert not separates(names.str[-4:].map(lambda digits: int(digits, 16)), only_fraud)


def test_category_codes_only_tell_the_alphabet(course) -> None:
    for name in ("merchant", "device"):
        categories = list(course.transactions[name].cat.categories)
        assert categories == sorted(categories)


def test_the_drift_switch_adds_cash_out_from_its_day_on_and_changes_no_other_row() -> None:
    before, after = simulate(SMALL), simulate(replace(SMALL, drift_day=10))
    columns = [*PAYMENT, "is_fraud", "known_at_us", "scenario", "hard_negative"]
    assert without(after, "cash_out", columns).equals(without(before, "cash_out", columns))
    added = after.transactions[after.truth["scenario"] == "cash_out"]
    assert len(added) == len(after.transactions) - len(before.transactions) > 0
    assert added["event_time_us"].min() >= SMALL.start_us() + 10 * 86_400_000_000
    assert added["event_time_us"].min() < SMALL.start_us() + 13 * 86_400_000_000


def everything(stream: Simulation, rows: pd.Series) -> pd.DataFrame:
    """All that is known of the chosen payments but their numbers, as plain values."""
    frame = pd.concat([stream.transactions, stream.labels.iloc[:, 1:], stream.truth.iloc[:, 1:]], axis=1)
    return frame.loc[rows.to_numpy(), list(frame)[1:]].astype(object).reset_index(drop=True)


def test_thieves_who_adapt_change_their_own_payments_from_that_day_on_and_no_other_row() -> None:
    before, after = simulate(SMALL), simulate(replace(SMALL, drift_day=10, drift="adapt"))
    day = SMALL.start_us() + 10 * 86_400_000_000
    first, second = (
        everything(stream, (stream.transactions["event_time_us"] < day) | (stream.truth["scenario"] == "legitimate"))
        for stream in (before, after)
    )
    assert second.equals(first)
    hard = simulate(replace(SMALL, difficulty="hard"))
    late = [
        stream.transactions.loc[
            (stream.transactions["event_time_us"] >= day) & (stream.truth["scenario"] == "account_takeover"),
            ["user_id", "merchant", "device", "location"],
        ].astype(str)
        for stream in (after, hard)
    ]
    assert late[0].reset_index(drop=True).equals(late[1].reset_index(drop=True))
    assert len(late[0]) > 10


@pytest.mark.parametrize("scenario", SCENARIOS[1:])
def test_more_of_one_scenario_moves_no_other_payment(scenario: str) -> None:
    usual = replace(SMALL, drift_day=5)
    more = simulate(replace(usual, fraud=FraudRates(**{scenario: 4.0})))
    usually = simulate(usual)
    assert (more.truth["scenario"] == scenario).sum() > 2 * (usually.truth["scenario"] == scenario).sum()
    assert without(more, scenario, PAYMENT).equals(without(usually, scenario, PAYMENT))


@pytest.mark.parametrize(
    "config",
    [
        SimulatorConfig(customers=1, days=1),
        SimulatorConfig(customers=1, days=30, drift_day=29),
        SimulatorConfig(customers=50, days=3, fraud=FraudRates(100, 100, 100, 100, 100), drift_day=0),
        SimulatorConfig(customers=50, days=3, fraud=FraudRates(0, 0, 0, 0, 0)),
    ],
)
def test_tiny_and_extreme_worlds_can_be_simulated(config: SimulatorConfig) -> None:
    stream = simulate(config)
    assert len(stream.transactions) == len(stream.labels) == len(stream.truth)
    assert stream.transactions["amount_cents"].ge(50).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": -1}, "seed=-1 is not a whole number from 0 to"),
        ({"seed": 1.5}, "seed=1.5 is not a whole number"),
        ({"customers": 0}, "customers=0 is not a whole number from 1 to 1000000"),
        ({"days": True}, "days=True is not a whole number from 1 to 3660"),
        ({"days": 10, "drift_day": 10}, "drift_day=10 is not a whole number from 0 to 9"),
        ({"drift": "inflation"}, "drift='inflation' is none of cash_out, adapt"),
        ({"difficulty": "brutal"}, "difficulty='brutal' is none of easy, standard, hard"),
        ({"start": "05.01.2026"}, "start='05.01.2026' is not a date like 2026-01-05"),
        ({"start": None}, "start=None is not a date like 2026-01-05"),
        ({"start": "1999-12-31"}, "start='1999-12-31' and days=42 leave the years 2000 to 2099"),
        ({"start": "2099-12-01"}, "start='2099-12-01' and days=42 leave the years 2000 to 2099"),
        ({"fraud": 0.01}, "fraud=0.01 is not a FraudRates"),
        ({"label_noise": None}, "label_noise=None is not a LabelNoise"),
    ],
)
def test_a_wrong_configuration_names_the_field_its_value_and_what_would_be_right(fields, message) -> None:
    with pytest.raises(ValueError, match="^" + message.replace(".", r"\.")):
        SimulatorConfig(**fields)


def test_label_noise_changes_labels_only() -> None:
    usual, noisy = simulate(SMALL), simulate(replace(SMALL, label_noise=LabelNoise(unreported_fraud=0.5)))
    assert noisy.transactions.equals(usual.transactions)
    assert noisy.truth.equals(usual.truth)
    assert noisy.labels["is_fraud"].sum() < 0.7 * usual.labels["is_fraud"].sum()


def test_there_are_four_hundred_merchants_with_names_of_their_own() -> None:
    merchants = make_merchants(np.random.default_rng(0))
    assert len(set(merchants.name)) == len(merchants.name) == 400
