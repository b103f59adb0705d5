"""Card precision at k, on frames small enough to count by hand."""

import numpy as np
import pytest

from capstone_utils.serving.evaluation.card_precision import card_precision


def test_two_days_by_hand():
    day = np.array([1, 1, 1, 1, 2, 2, 2])
    card = np.array([10, 10, 11, 12, 11, 13, 14])
    fraud = np.array([0, 1, 0, 0, 1, 0, 1])
    scores = np.array([0.1, 0.9, 0.8, 0.2, 0.3, 0.9, 0.7])
    found = card_precision(day, card, fraud, scores, k=2)
    assert found.value == (1 / 2 + 1 / 2) / 2  # day 1: cards 10 and 11, one abused; day 2: cards 13 and 14, one abused
    assert found.ceiling == (1 / 2 + 2 / 2) / 2  # only one card was abused on day 1


def test_a_card_that_was_found_is_blocked_and_does_not_count_again():
    day, card = np.array([1, 2]), np.array([10, 10])
    found = card_precision(day, card, np.array([1, 1]), np.array([0.9, 0.9]), k=1)
    assert found == (0.5, 0.5)


def test_a_card_that_was_missed_may_be_found_the_next_day():
    day, card = np.array([1, 1, 2]), np.array([10, 11, 10])
    found = card_precision(day, card, np.array([1, 0, 1]), np.array([0.1, 0.9, 0.9]), k=1)
    assert found.value == 0.5


def test_chance_finds_the_share_of_abused_cards():
    generator = np.random.default_rng(0)
    day, card = np.repeat(np.arange(30), 1000), np.tile(np.arange(1000), 30)
    fraud = generator.random(30_000) < 0.02
    assert card_precision(day, card, fraud, generator.random(30_000)).value == pytest.approx(0.02, abs=0.005)


@pytest.mark.parametrize(("k", "rows"), [(0, 5), (10, 0)])
def test_nothing_to_look_at_is_refused(k, rows):
    column = np.zeros(rows)
    with pytest.raises(ValueError, match=f"k={k} and {rows} transactions"):
        card_precision(column, column, column, column, k)
