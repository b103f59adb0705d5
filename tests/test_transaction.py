"""What is a transaction and what is not, and that the refusal says so."""

import json
import math
import time
import unicodedata

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capstone_utils.transaction import (
    MAX_AHEAD_US,
    MAX_AMOUNT_CENTS,
    MAX_TIME_US,
    MIN_TIME_US,
    SECOND_US,
    InvalidTransaction,
    Transaction,
    category_of,
)

BRIEF = {
    "transaction_id": 12345,
    "user_id": 42,
    "amount": 250.75,
    "timestamp": time.time(),
    "location": "NY",
    "merchant": "Amazon",
    "device": "mobile",
}
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=64)
transactions = st.builds(
    Transaction,
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.integers(-MAX_AMOUNT_CENTS, MAX_AMOUNT_CENTS),
    st.integers(MIN_TIME_US, MAX_TIME_US),
    texts,
    texts,
    texts,
)


@given(transactions)
def test_a_transaction_comes_back_from_its_message_as_it_went(transaction):
    assert Transaction.from_json(transaction.to_json()) == transaction


def test_the_brief_s_own_transaction_is_one():
    assert Transaction.from_json(json.dumps(BRIEF)).amount_cents == 25_075


@pytest.mark.parametrize(
    "stamp",
    [1767225600, 1767225600.0, "2026-01-01T00:00:00+00:00", "2026-01-01T01:00:00+01:00", "2026-01-01t00:00:00z"],
)
def test_epoch_seconds_and_iso_8601_mean_the_same_time(stamp):
    assert Transaction.from_dict(BRIEF | {"timestamp": stamp}).event_time_us == 1_767_225_600_000_000


def test_fields_of_a_later_version_are_left_alone():
    assert Transaction.from_dict(BRIEF | {"currency": "USD", "schema_version": 1}).user_id == 42


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", -1),
        ("transaction_id", 1.5),
        ("transaction_id", True),
        ("transaction_id", 7.0),
        ("user_id", "42"),
        ("user_id", 2**63),
        ("amount", 19.999),
        ("amount", "19.99"),
        ("amount", math.inf),
        ("amount", math.nan),
        ("amount", 1e12),
        ("amount", 1e308),
        ("amount", 12.345),
        ("amount", 900_000_000.01),
        ("amount", True),
        ("timestamp", "yesterday"),
        ("timestamp", "2026-01-01T00:00:00"),
        ("timestamp", math.nan),
        ("timestamp", 1e18),
        ("timestamp", None),
        ("location", ""),
        ("location", None),
        ("merchant", "x" * 65),
        ("device", 7),
        ("device", "a\0b"),
        ("merchant", "two\nlines"),
        ("merchant", "a\ttab"),
        ("merchant", "next line\x85"),
        ("merchant", "\ud83d"),
        ("schema_version", 2),
        ("schema_version", True),
        ("schema_version", 1.0),
        ("schema_version", None),
    ],
)
def test_a_refusal_names_the_field_and_the_value(field, value):
    with pytest.raises(InvalidTransaction) as refusal:
        Transaction.from_dict(BRIEF | {field: value})
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}={value!r}"[:60])


@pytest.mark.parametrize(
    ("amount", "cents"),
    [
        (15_000_000, 1_500_000_000),
        (-9e8, -MAX_AMOUNT_CENTS),
        (-0.0, 0),
        (0.1 + 0.2, 30),
        (899_999_999.99, 89_999_999_999),
    ],
)
def test_an_amount_is_whole_cents_of_up_to_nine_hundred_million_either_way(amount, cents):
    transaction = Transaction.from_dict(BRIEF | {"amount": amount})
    assert transaction.amount_cents == cents
    assert math.copysign(1, transaction.to_dict()["amount"]) == (1 if cents >= 0 else -1)  # never minus zero


@pytest.mark.parametrize(
    "text", ["Caf\u00e9", "Cafe\u0301", "\u00a0", "a\u200bb", "\u202eevil", "💳" * 64, "NA", "0042"]
)
def test_a_text_is_kept_code_point_by_code_point_in_json_journal_and_arrow(text):
    sent = Transaction.from_json(json.dumps(BRIEF | {"merchant": text}))
    assert sent.merchant == text
    assert Transaction.from_json(sent.to_json()) == sent
    assert Transaction(*orjson.loads(orjson.dumps(list(sent)))) == sent
    row = pa.RecordBatch.from_pylist([sent._asdict()]).to_pylist()[0]
    assert Transaction(**row) == sent


def test_two_spellings_of_one_name_are_two_texts():
    composed, apart = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    first, second = (Transaction.from_dict(BRIEF | {"merchant": name}) for name in (composed, apart))
    assert first != second


def test_an_identifier_that_is_a_text_is_told_to_be_numbered():
    with pytest.raises(InvalidTransaction, match=r"'550e8400-e29b' is not an integer from 0 to .*; number your texts"):
        Transaction.from_dict(BRIEF | {"transaction_id": "550e8400-e29b"})


@pytest.mark.parametrize(
    "field", ["transaction_id", "user_id", "amount", "timestamp", "location", "merchant", "device"]
)
def test_a_missing_field_is_named(field):
    without = {name: value for name, value in BRIEF.items() if name != field}
    with pytest.raises(InvalidTransaction, match=f"{field} is missing"):
        Transaction.from_dict(without)


@pytest.mark.parametrize("message", [b"", b"not json", b"[]", b"null", b'{"amount": NaN}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused_as_a_message(message):
    with pytest.raises(InvalidTransaction, match=r"^message="):
        Transaction.from_json(message)


NOON_US = 1_767_225_600_000_000 + 12 * 3600 * SECOND_US  # 2026-01-01


def of_time(event_time_us):
    return Transaction(1, 7, 100, event_time_us, "NY", "Amazon", "mobile")


@pytest.mark.parametrize("ahead_us", [MAX_AHEAD_US, 0, -15 * 365 * 86_400 * SECOND_US])
def test_a_transaction_may_be_five_minutes_ahead_of_its_record_and_as_late_as_it_likes(ahead_us):
    transaction = of_time(NOON_US + ahead_us)
    assert Transaction.from_record(transaction.key, transaction.to_json(), NOON_US // 1000) == transaction


@pytest.mark.parametrize(
    ("ahead_seconds", "words"),
    [
        (301, "at most 5 minutes ahead of its record, 2026-01-01T12:00:00+00:00"),
        (2 * 3600, "it is 2:00 hours ahead, as a local time sent as UTC would be"),
        (5.5 * 3600 - 20, "it is 5:30 hours ahead"),
        (5.75 * 3600 + 90, "it is 5:45 hours ahead"),
        (5.6 * 3600, "at most 5 minutes ahead of its record, 2026-01-01T12:00:00+00:00"),
        (24 * 3600, "at most 5 minutes ahead of its record, 2026-01-01T12:00:00+00:00"),
    ],
)
def test_a_transaction_from_the_future_is_none_and_a_clock_of_another_zone_is_told_apart(ahead_seconds, words):
    transaction = of_time(NOON_US + round(ahead_seconds * SECOND_US))
    with pytest.raises(InvalidTransaction) as error:
        Transaction.from_record(transaction.key, transaction.to_json(), NOON_US // 1000)
    assert error.value.field == "timestamp"
    assert words in str(error.value)
    assert ("hours ahead" in str(error.value)) == ("hours ahead" in words)


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 946_684_799_999])
def test_a_record_that_does_not_know_its_time_bounds_nothing(timestamp_ms):
    transaction = of_time(NOON_US)
    assert Transaction.from_record(transaction.key, transaction.to_json(), timestamp_ms) == transaction


def test_the_category_is_the_kind_of_shop():
    assert [category_of(name) for name in ("Maple Gift Cards", "Harbor Grocery", "Amazon")] == [
        "Gift Cards",
        "Grocery",
        "Amazon",
    ]
