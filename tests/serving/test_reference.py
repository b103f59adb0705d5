"""A reference counts each weekday's values in bins that never move, and comes back whole from its file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from capstone_utils.serving.reference import (
    MISSING,
    SCORE,
    InvalidReference,
    Reference,
    count,
    make_reference,
    parse_reference,
    tenths,
    weekday,
)
from capstone_utils.transaction import DAY_US

MONDAY = 20458  # 2026-01-05, in days since 1970


@pytest.fixture
def reference() -> Reference:
    """Two weeks of 100 transactions a day, amounts 0 to 99; on each day three are called fraud, of two users."""
    day = np.repeat(np.arange(MONDAY, MONDAY + 14), 100)
    amount = np.tile(np.arange(100.0), 14)
    alerts = np.isin(amount, [7, 8, 9])
    return make_reference(
        ("amount", SCORE),
        day * DAY_US,
        np.column_stack([amount, amount / 100]),
        np.where(amount == 9, 2, 1),
        alerts,
        frauds=np.isin(amount, [8, 9, 10, 11]),
    )


def test_bins_are_tenths_and_one_for_what_is_missing():
    edges = tenths(np.append(np.arange(1000.0), np.nan))
    assert count(np.array([-5.0, 0.0, 99.9, 999.0, np.nan, np.nan]), edges).tolist() == [1, 2, *[0] * 8, 1, 2]
    assert count(np.array([0.0, 1.0, np.nan]), tenths(np.repeat([0.0, 1.0], [99, 1])))[[1, 2, MISSING]].tolist() == [
        1,
        1,
        1,
    ]


def test_a_column_that_was_missing_throughout_has_two_bins_for_what_may_come():
    counts = count(np.array([-1.0, 0.0, 3.0, np.nan]), tenths(np.full(5, np.nan)))
    assert (counts[MISSING], counts.sum()) == (1, 4)


def test_each_weekday_is_counted_apart(reference):
    assert weekday(MONDAY) == 0
    assert reference.weekdays.sum(axis=2).tolist() == [[200, 200]] * 7
    assert reference.weekdays[3, 0].tolist() == [0, *[20] * 10, 0]
    assert reference.days == 14


def test_usual_shares_are_those_of_its_days(reference):
    assert reference.reported == pytest.approx(0.04)
    # half of the frauds, less two standard errors of 28 thefts: two users on each of 14 days
    assert reference.missed == pytest.approx(0.5 - 2 * (0.25 / 28) ** 0.5)
    assert reference.alerted == pytest.approx(0.02), "two users a day in a hundred transactions"


def test_the_counts_of_rows_are_the_same_in_any_order(reference):
    rows = np.column_stack([np.linspace(-10, 120, 50), np.linspace(0, 1, 50)])
    rows[::7, 0] = np.nan
    shuffled = np.random.default_rng(3).permutation(rows)
    np.testing.assert_array_equal(reference.counts(shuffled), reference.counts(rows))


def test_a_reference_comes_back_from_json_as_it_was(reference):
    again = parse_reference(reference.to_json())
    assert again.to_json() == reference.to_json()
    np.testing.assert_array_equal(again.weekdays, reference.weekdays)
    assert again.columns == reference.columns


@pytest.mark.parametrize("change", [{"columns": ["amount"]}, {"edges": 3}, {"weekdays": [[1]]}, {"more": 1}])
def test_a_text_that_holds_no_whole_reference_is_refused(reference, change):
    with pytest.raises(InvalidReference, match="it holds no reference"):
        parse_reference(json.dumps(json.loads(reference.to_json()) | change))
