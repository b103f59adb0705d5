from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from capstone_utils.ingestion.simulation.arrivals import arrive
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulate(SimulatorConfig(seed=3, customers=200, days=7)).transactions


def test_late_and_repeated_rows_are_only_moved_and_repeated(frame: pd.DataFrame) -> None:
    arrived = arrive(frame, late_share=0.2, duplicate_share=0.1, max_lateness_seconds=600, seed=1)
    assert not arrived["event_time_us"].is_monotonic_increasing
    kept = arrived.drop_duplicates("transaction_id").sort_values("transaction_id", ignore_index=True)
    assert kept.equals(frame)
    again = arrived[arrived.duplicated("transaction_id")].set_index("transaction_id")
    assert again.equals(frame.set_index("transaction_id").loc[again.index])


def test_as_many_come_late_and_twice_as_was_asked(frame: pd.DataFrame) -> None:
    arrived = arrive(frame, late_share=0.0, duplicate_share=0.1, max_lateness_seconds=600, seed=1)
    assert len(arrived) / len(frame) == pytest.approx(1.1, abs=0.02)
    late = arrive(frame, late_share=0.2, duplicate_share=0.0, max_lateness_seconds=86_400, seed=1)
    overtaken = late["event_time_us"] < late["event_time_us"].cummax()
    assert overtaken.mean() == pytest.approx(0.2, abs=0.03)


def test_nothing_comes_later_than_the_longest_lateness(frame: pd.DataFrame) -> None:
    arrived = arrive(frame, late_share=0.5, duplicate_share=0.0, max_lateness_seconds=600, seed=1)
    lateness = arrived["event_time_us"].cummax() - arrived["event_time_us"]
    assert 500e6 < lateness.max() <= 600e6


def test_with_nothing_late_and_nothing_twice_the_order_is_that_of_event_time(frame: pd.DataFrame) -> None:
    assert arrive(frame, late_share=0, duplicate_share=0, max_lateness_seconds=600, seed=1).equals(frame)


def test_the_same_seed_gives_the_same_arrivals(frame: pd.DataFrame) -> None:
    one, same, other = (arrive(frame, 0.2, 0.1, 600, seed=seed) for seed in (1, 1, 2))
    assert one.equals(same)
    assert not np.array_equal(one["transaction_id"][:1000], other["transaction_id"][:1000])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.5, 0, 600), r"late_share=1\.5 is not a share \(0 to 1\)"),
        ((0, -0.1, 600), r"duplicate_share=-0\.1 is not a share \(0 to 1\)"),
        ((0, 0, -1), "max_lateness_seconds=-1 is negative"),
        ((0, 0, float("nan")), "max_lateness_seconds=nan is negative"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(frame: pd.DataFrame, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        arrive(frame, *arguments, seed=1)
