"""What came first under an id: found exactly where a transaction is a duplicate, and as it was."""

from hypothesis import given, settings
from hypothesis import strategies as st

from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import BRIEF, SPEC
from tests.features.streams import DAILY, as_log, forgetful, logs


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.just(SPEC), forgetful), logs(min_size=2))
def test_what_came_first_is_found_for_duplicates_and_for_nothing_else(spec, log):
    online = OnlineFeatures(spec, DAILY, awake_users=1)
    for transaction in log:
        first = online.first(transaction)
        assert first == online.first(transaction._replace(amount_cents=77, location="?", merchant="?", device="?"))
        assert (online.update(transaction) is None) == (first is not None)
        assert first in (None, transaction)


def test_a_question_leaves_the_state_as_it_is():
    online = OnlineFeatures(SPEC)
    (first,) = as_log([(1, 100, 60, "NY", "Amazon", "mobile", 1)])
    assert online.first(first) is None
    assert len(online.users) == 0


def test_of_an_id_that_was_given_twice_over_the_years_the_latter_is_told():
    online = OnlineFeatures(SPEC)
    first, later = as_log([(1, 100, 60, "NY", "Amazon", "mobile", 1), (1, 200, 200_000, "LA", "Shop", "card", 1)])
    again = later._replace(transaction_id=first.transaction_id)
    for transaction in (first, later, again):
        assert online.update(transaction) is not None
    assert online.first(first) == again


def test_texts_that_no_window_counts_are_taken_as_equal():
    online = OnlineFeatures(BRIEF)
    (first,) = as_log([(1, 100, 60, "NY", "Amazon", "mobile", 1)])
    online.update(first)
    assert online.first(first._replace(merchant="Walmart")) == first._replace(merchant="Walmart")
    assert online.first(first._replace(device="card")) == first
