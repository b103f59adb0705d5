"""The declaration: its hash, and what it refuses."""

from dataclasses import replace
from typing import get_args, get_type_hints

import pytest

from capstone_utils.features.moment import MOMENT
from capstone_utils.features.spec import HISTORY, SPEC, FeatureSpec, InvalidSpec, State, Window


def test_the_hash_changes_with_any_part_of_the_declaration():
    first, *rest = SPEC.features
    changed = [
        replace(SPEC, allowed_lateness_seconds=60),
        replace(SPEC, max_events=1000),
        replace(SPEC, max_values=10),
        replace(SPEC, features=(*rest, first)),
    ]
    assert len({SPEC.hash, *(spec.hash for spec in changed)}) == 5
    assert replace(SPEC).hash == SPEC.hash


def test_every_kind_of_state_is_of_the_moment_or_of_the_history_or_a_first_seen_flag():
    kinds = get_args(get_type_hints(State)["kind"])
    assert sorted(kinds) == sorted([*MOMENT, *HISTORY, "first_seen"])


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (Window("w", "count", "amount_cents", 0), "w: seconds=0 after delay_seconds=0 is no length of time"),
        (Window("w", "median", "amount_cents", 60), "w: aggregate='median' is none of count, mean, distinct"),
        (Window("w", "mean", "device", 60), "w: column='device' is none of amount_cents"),
        (Window("w", "count", "amount_cents", 60, "device"), "w: key='device' is none of user_id, merchant"),
        (Window("w", "distinct", "device", 60, "user_id", 5), "w: distinct values are counted without a delay"),
        (Window("w", "same", "category", 60, "user_id", 5), "w: same values are counted without a delay"),
        (Window("w", "same", "amount_cents", 60), "w: column='amount_cents' is none of location, merchant, device"),
        (Window("w", "fraud_rate", "is_fraud", 60), "w: delay_seconds=0: fraud is not known at once"),
        (State("s", "first_seen"), "s: column='' does not go with first_seen"),
        (State("s", "amount", "device"), "s: column='device' does not go with amount"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(feature, reason):
    with pytest.raises(InvalidSpec, match=reason):
        FeatureSpec((feature,))


def test_a_name_stands_once_and_the_labels_have_one_delay():
    with pytest.raises(InvalidSpec, match=r"\['amount'\] stand twice"):
        FeatureSpec((State("amount", "amount"), State("amount", "hour_of_day")))
    rates = [Window(f"r{delay}", "fraud_rate", "is_fraud", 60, "merchant", delay) for delay in (5, 6)]
    with pytest.raises(InvalidSpec, match=r"the label delays \[5, 6\] s"):
        FeatureSpec(tuple(rates))


def test_limits_too_small_to_work_with_are_refused():
    with pytest.raises(InvalidSpec, match="max_events=1 should be at least 2"):
        replace(SPEC, max_events=1)
