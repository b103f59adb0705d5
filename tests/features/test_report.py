"""The parity report: what differs, how often, and the worst example."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.features.parity import parity_report


def test_it_names_the_worst_example():
    left = pd.DataFrame({"amount": [1.0, 2.0, np.nan]}, index=[7, 8, 9])
    right = pd.DataFrame({"amount": [1.0, 2.5, np.nan]}, index=[7, 8, 9])
    row = parity_report(left, right, ["amount"]).iloc[0]
    assert (row["rows"], row["mismatches"], row["nulls_on_one_side"]) == (3, 1, 0)
    assert (row["worst_transaction"], row["online"], row["offline"]) == (8, 2.0, 2.5)


def test_it_counts_a_null_on_one_side_as_a_mismatch():
    left = pd.DataFrame({"amount": [1.0]}, index=[7])
    row = parity_report(left, left * np.nan, ["amount"]).iloc[0]
    assert (row["mismatches"], row["nulls_on_one_side"]) == (1, 1)


def test_it_refuses_frames_of_different_transactions():
    frame = pd.DataFrame({"amount": [1.0, 2.0]}, index=[7, 8])
    with pytest.raises(ValueError, match="1 transactions are on one side only, such as transaction_id=8"):
        parity_report(frame, frame.iloc[:1], ["amount"])
