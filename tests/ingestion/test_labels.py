from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS, labels_known_by
from capstone_utils.ingestion.simulation.reported_labels import LabelNoise, draw_labels
from capstone_utils.transaction import DAY_US

N = 400_000


@pytest.fixture(scope="module")
def fraud() -> np.ndarray:
    return np.arange(N) % 4 == 0


@pytest.fixture(scope="module")
def labels(fraud: np.ndarray) -> pd.DataFrame:
    """Labels of payments one second apart, every fourth of them a fraud."""
    return draw_labels(np.arange(N), np.arange(N) * 1_000_000, fraud, LabelNoise(), np.random.default_rng(0))


def days_until_known(labels: pd.DataFrame) -> pd.Series:
    return (labels["known_at_us"] - labels["transaction_id"] * 1_000_000) / DAY_US


def test_labels_come_as_late_and_as_wrong_as_the_card_says(card, labels, fraud) -> None:
    said = {measure: card.numbers(row["figure"])[0] for measure, row in card.table("Labels").items()}
    delay, reported = days_until_known(labels), labels["is_fraud"]
    assert delay[reported].median() == pytest.approx(said.pop("days from a fraud to its report, median"), rel=0.02)
    assert delay[reported].max() == said.pop("days from a fraud to its report, at most") == LABEL_DELAY_DAYS
    unreported = (~reported[fraud]).mean()
    assert unreported * 100 == pytest.approx(said.pop("share of fraud never reported"), rel=0.1)
    disputed = said.pop("honest payments for each one disputed by mistake")
    assert (~fraud).sum() / reported[~fraud].sum() == pytest.approx(disputed, rel=0.5)  # fifteen are expected
    presumed = said.pop("days after which an unreported payment counts as legitimate")
    assert set(delay[~reported]) == {presumed}
    assert not said


def test_most_fraud_is_reported_before_the_presumption_but_hardly_any_on_the_first_hours(labels) -> None:
    delay = days_until_known(labels)[labels["is_fraud"]]
    assert (delay < LABEL_DELAY_DAYS).mean() > 0.95
    assert (delay < 0.25).mean() < 0.01
    assert (delay >= 0).all()


def test_without_noise_the_reports_are_the_truth(fraud: np.ndarray) -> None:
    labels = draw_labels(np.arange(N), np.zeros(N, dtype=np.int64), fraud, LabelNoise(0, 0), np.random.default_rng(0))
    assert np.array_equal(labels["is_fraud"], fraud)


def test_a_label_is_known_from_the_moment_of_its_arrival_on(labels: pd.DataFrame) -> None:
    arrival = int(labels["known_at_us"].iloc[10])
    assert 10 in labels_known_by(labels, arrival).index
    assert 10 not in labels_known_by(labels, arrival - 1).index


def test_what_was_known_at_a_moment_never_changes_with_what_comes_later(labels: pd.DataFrame) -> None:
    moment = 3 * DAY_US
    known = labels_known_by(labels, moment)
    assert 0 < len(known) < len(labels)
    with_less_future = labels_known_by(labels[labels["transaction_id"] * 1_000_000 <= moment], moment)
    assert known.equals(with_less_future)
    later = labels_known_by(labels, moment + DAY_US)
    assert later.loc[known.index].equals(known)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"unreported_fraud": 1.2}, r"label_noise\.unreported_fraud=1\.2 is not a share \(0 to 1\)"),
        ({"false_disputes": float("nan")}, r"label_noise\.false_disputes=nan is not a share"),
        ({"false_disputes": "few"}, r"label_noise\.false_disputes='few' is not a share"),
    ],
)
def test_a_wrong_share_names_the_field_and_the_value(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        LabelNoise(**fields)
