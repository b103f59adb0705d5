"""Drift: the index by hand, what it finds, what chance alone does, and a picture of it."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from capstone_utils.course.figures.drift import draw_drift
from capstone_utils.monitoring.drift.measures import bin_counts, drift_report, population_stability_index

RNG = np.random.default_rng(11)


def amounts(rows: int, mean: float = 3.0) -> np.ndarray:
    return RNG.lognormal(mean, 1.0, rows)


def test_the_index_is_the_one_that_a_hand_finds():
    # Four bins, for the reference has four values: 25 % each. The recent rows: 10, 20, 30 and 40 %.
    reference = np.repeat([1.0, 2.0, 3.0, 4.0], 250)
    recent = np.repeat([1.0, 2.0, 3.0, 4.0], [100, 200, 300, 400])
    p = np.full(4, 250.5 / 1002)  # half a row more in each bin
    q = np.array([100.5, 200.5, 300.5, 400.5]) / 1002
    by_hand = sum((b - a) * np.log(b / a) for a, b in zip(p, q, strict=True))
    assert population_stability_index(reference, recent) == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.2267, abs=0.0005)


def test_bins_are_the_references_tenths_and_one_for_what_lies_below_it():
    counts = bin_counts(np.arange(1000.0), np.array([-5.0, 0.0, 0.0, 99.9, 999.0, 5000.0, np.nan]))
    assert counts["reference"].tolist() == [0, *[100] * 10, 0]
    assert counts["recent"].tolist() == [1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1]
    assert [counts.index[0], counts.index[-2], counts.index[-1]] == ["under 0", "over 899.1", "missing"]


def test_chance_alone_makes_no_drift_of_500_rows():
    pairs = [(amounts(500), amounts(500)) for _ in range(300)]
    indices = [population_stability_index(before, now) for before, now in pairs]
    assert np.mean(indices) == pytest.approx(9 * (1 / 500 + 1 / 500), rel=0.2)  # (bins - 1) * (1/n + 1/m)
    assert np.mean(np.array(indices) < 0.1) > 0.97


def test_what_moved_is_drifted_and_comes_first():
    reference = pd.DataFrame({"amount": amounts(5_000), "count": RNG.poisson(4, 5_000), "hour": amounts(5_000)})
    recent = pd.DataFrame({"amount": amounts(5_000), "count": RNG.poisson(4, 5_000), "hour": amounts(5_000, mean=4.5)})
    recent["note"] = "columns that the reference lacks are left alone"
    report = drift_report(reference, recent).set_index("feature")
    assert report.index[0] == "hour"
    assert report["status"].to_dict() == {"hour": "drifted", "amount": "stable", "count": "stable"}
    # Lognormal means 3 and 4.5 lie 1.5 standard deviations apart: the largest gap is 2 * Phi(0.75) - 1.
    assert report.loc["hour", "ks"] == pytest.approx(0.5467, abs=0.02)
    assert report.loc["hour", "p"] < 1e-9 < 0.001 < report.loc["amount", "p"]


def test_a_small_move_is_a_shift():
    reference, recent = pd.DataFrame({"amount": amounts(20_000)}), pd.DataFrame({"amount": amounts(20_000, mean=3.4)})
    report = drift_report(reference, recent)
    assert report.loc[0, "status"] == "shifted"
    assert 0.1 <= report.loc[0, "psi"] < 0.25


def test_values_that_begin_to_be_missing_are_a_drift():
    reference, recent = pd.DataFrame({"speed": amounts(2_000)}), pd.DataFrame({"speed": amounts(2_000)})
    recent.loc[::4, "speed"] = np.nan
    report = drift_report(reference, recent)
    assert report.loc[0, "status"] == "drifted"
    assert report.loc[0, "ks"] < 0.1, "what is not missing has not moved"


def test_a_column_that_is_missing_throughout_has_no_distance():
    nothing = pd.DataFrame({"speed": np.full(600, np.nan)})
    report = drift_report(nothing, nothing)
    assert report.loc[0, "status"] == "stable"
    assert report[["ks", "p"]].isna().all(axis=None)
    assert drift_report(nothing, pd.DataFrame({"speed": amounts(600)})).loc[0, "status"] == "drifted"


def test_flags_and_nullable_integers_are_numbers():
    flags = pd.DataFrame({"known_device": [True, False] * 300, "count": pd.array([1, 2, None] * 200, dtype="Int64")})
    assert set(drift_report(flags, flags)["status"]) == {"stable"}


@pytest.mark.parametrize(
    ("recent", "words"),
    [
        (pd.DataFrame({"speed": np.ones(600)}), r"recent lacks the column 'amount'; it has speed"),
        (pd.DataFrame({"amount": ["12.50"] * 600}), r"recent\['amount'\] holds object, not numbers"),
        (pd.DataFrame({"amount": np.ones(499)}), r"recent has 499 rows; fewer than 500 drift by chance alone"),
    ],
)
def test_what_cannot_be_compared_is_named(recent, words):
    with pytest.raises(ValueError, match=words):
        drift_report(pd.DataFrame({"amount": amounts(600)}), recent)


def test_the_picture_has_a_bar_for_each_feature_and_the_bins_of_the_most_drifted():
    names = [f"feature_{number}" for number in range(8)]
    reference = pd.DataFrame({name: amounts(600) for name in names})
    recent = pd.DataFrame({name: amounts(600, mean=3 + number / 4) for number, name in enumerate(names)})
    report = drift_report(reference, recent)
    figure = draw_drift(reference, recent, report, most=4)
    indices, *bins = [axes for axes in figure.findobj(plt.Axes) if axes.axison]
    assert [label.get_text() for label in indices.get_yticklabels()] == list(report["feature"])
    assert [bar.get_width() for bar in indices.patches] == pytest.approx(list(report["psi"]))
    assert [axes.get_title(loc="left").split(":")[0] for axes in bins] == list(report["feature"][:4])
    for axes in bins:
        assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(200), "100 % before and 100 % now"
    plt.close(figure)
