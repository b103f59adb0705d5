"""The one record that flows through the house: a card transaction, its JSON and its checks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from capstone_utils.errors import CapstoneError

SCHEMA_VERSION = 1
FIELDS = ("transaction_id", "user_id", "amount", "timestamp", "location", "merchant", "device")
MAX_ID = 2**63 - 1
# Nine hundred million, either way: refunds are negative. A user's window holds at most 100,000 transactions
# (`FeatureSpec.max_events`), and the sum of so many of the largest is still exact in a double.
MAX_AMOUNT_CENTS = 9 * 10**10
SECOND_US = 1_000_000  # event times are integer microseconds
DAY_SECONDS = 86_400
DAY_US = DAY_SECONDS * SECOND_US
MIN_TIME_US = 946_684_800_000_000  # 2000-01-01T00:00:00Z
MAX_TIME_US = 4_102_444_800_000_000  # 2100-01-01T00:00:00Z
MAX_AHEAD_US = 5 * 60 * SECOND_US  # of the clock at the door: honest clocks differ by less
ZONE_US, ZONE_SLACK_US = 15 * 60 * SECOND_US, 120 * SECOND_US  # zones differ from UTC by quarters of an hour,
MAX_ZONE_US = 14 * 3600 * SECOND_US  # and by 14 hours at most
MAX_TEXT = 64  # Unicode code points
CONTROL = r"\u0000-\u001f\u007f-\u009f"  # NUL, tab and line breaks among them: in no text, as a regular expression
MAX_MESSAGE_BYTES = 64 * 1024
MISSING = object()
_no_text = re.compile(rf"[{CONTROL}\ud800-\udfff]")  # a lone half of a surrogate pair is no character either
_the_seven = itemgetter(*FIELDS)


class InvalidMessage(CapstoneError):
    """A message that is not what its topic holds; says which field, what it held and what would be right."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        self.field, self.value, self.expected = field, value, expected
        try:
            shown = repr(value)
        except RecursionError:
            shown = f"a deeply nested {type(value).__name__}"
        if value is MISSING:
            super().__init__(f"{field} is missing; it should be {expected}")
        else:
            super().__init__(f"{field}={shown if len(shown) <= 80 else shown[:77] + '...'} is not {expected}")


class InvalidTransaction(InvalidMessage):
    """A message that is no transaction."""


class Transaction(NamedTuple):
    """One card transaction. Times are integer microseconds since 1970 UTC, money is integer cents.

    >>> t = Transaction.from_json(b'{"transaction_id": 1, "user_id": 7, "amount": 19.99, "timestamp": 1767225600.5,'
    ...                           b' "location": "NY", "merchant": "Amazon", "device": "mobile"}')
    >>> t.amount_cents, t.event_time_us
    (1999, 1767225600500000)
    >>> Transaction.from_json(t.to_json()) == t
    True
    """

    transaction_id: int
    user_id: int
    amount_cents: int
    event_time_us: int
    location: str
    merchant: str
    device: str

    @classmethod
    def from_json(cls, message: bytes | bytearray | memoryview | str | None) -> Transaction:
        """The transaction in a JSON message, of whatever key.

        Raises:
            InvalidTransaction: for anything else, naming the field (`message` when it is null, no JSON object, or
                longer than MAX_MESSAGE_BYTES).
        """
        return cls.from_dict(parse_json(message))

    @classmethod
    def from_record(cls, key: bytes | None, message: bytes | None, timestamp_ms: int) -> Transaction:
        """The transaction in a record of the topic `transactions`, which lies under its user's key.

        `timestamp_ms` is the record's own; one before 2000, as -1 or 0, says nothing, and bounds nothing.

        Raises:
            InvalidTransaction: for anything else; for a wrong key: then it may lie on another partition than the
                user's other transactions, and its place among them is not known; and for a transaction from the future.
        """
        transaction = cls.from_json(message)
        if key != transaction.key:
            raise InvalidTransaction("key", key, f"the user's, {transaction.key!r}")
        if stamped(timestamp_ms):
            transaction.check_clock(timestamp_ms * 1000, "its record")
        return transaction

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Transaction:
        """The transaction in a mapping of the wire's seven fields; further fields are passed over, at every door.

        A further field may be one of a later version, which does not change what the seven mean: for that there is
        `schema_version`.

        Raises:
            InvalidTransaction: for the first field that is missing or wrong.
        """
        if not isinstance(fields, dict):
            raise InvalidTransaction("message", fields, "a JSON object")
        version = fields.get("schema_version", SCHEMA_VERSION)
        if type(version) is not int or version != SCHEMA_VERSION:
            raise InvalidTransaction("schema_version", version, f"the known version, the integer {SCHEMA_VERSION}")
        try:
            transaction_id, user_id, amount, timestamp, location, merchant, device = _the_seven(fields)
        except KeyError as error:
            raise InvalidTransaction(error.args[0], MISSING, "one of the seven fields") from None
        return cls(
            to_identifier("transaction_id", transaction_id),
            to_identifier("user_id", user_id),
            to_cents(amount),
            to_microseconds(timestamp),
            _text("location", location),
            _text("merchant", merchant),
            _text("device", device),
        )

    def check_clock(self, clock_us: int, whose: str) -> None:
        """Return when the transaction happened at most 5 minutes after `clock_us`, at which it came.

        Raises:
            InvalidTransaction: when it is from the future: all of its user's true transactions would look late.
        """
        ahead_us = self.event_time_us - clock_us
        if ahead_us <= MAX_AHEAD_US:
            return
        expected = f"at most 5 minutes ahead of {whose}, {_moment(clock_us)}"
        zone_us = round(ahead_us / ZONE_US) * ZONE_US
        if zone_us <= MAX_ZONE_US and abs(ahead_us - zone_us) <= ZONE_SLACK_US:
            hours, minutes = divmod(zone_us // (60 * SECOND_US), 60)
            expected += f"; it is {hours}:{minutes:02} hours ahead, as a local time sent as UTC would be"
        raise InvalidTransaction("timestamp", _moment(self.event_time_us), expected)

    def to_dict(self) -> dict[str, Any]:
        """The wire's seven fields: amount as a number with two decimals, timestamp as epoch seconds."""
        return {
            "transaction_id": self.transaction_id,
            "user_id": self.user_id,
            "amount": self.amount_cents / 100,
            "timestamp": self.event_time_us / 1_000_000,
            "location": self.location,
            "merchant": self.merchant,
            "device": self.device,
        }

    def to_json(self) -> bytes:
        """The message for the topic `transactions`, UTF-8 JSON."""
        return orjson.dumps(self.to_dict())

    @property
    def category(self) -> str:
        """The kind of shop, as `category_of` its name."""
        return category_of(self.merchant)

    @property
    def key(self) -> bytes:
        """The Kafka key: the user, so that one user's transactions stay in order on one partition."""
        return b"%d" % self.user_id


def category_of(merchant: str) -> str:
    """The kind of shop in a merchant's name, as "Gift Cards" in "Maple Gift Cards"; of one word, the name itself.

    A bank has its merchant category code instead.
    """
    return merchant.partition(" ")[2] or merchant


def parse_json(message: bytes | bytearray | memoryview | str | None) -> Any:
    """The value that a JSON message holds.

    Raises:
        InvalidTransaction: for the field `message`, when it is null, no JSON, or longer than MAX_MESSAGE_BYTES.
    """
    if message is not None and len(message) > MAX_MESSAGE_BYTES:
        raise InvalidTransaction("message", f"{len(message):,} bytes", f"at most {MAX_MESSAGE_BYTES:,} bytes long")
    try:
        return orjson.loads(message)  # type: ignore[arg-type]  # None is no JSON either
    except orjson.JSONDecodeError as error:
        raise InvalidTransaction("message", message, f"JSON ({error})") from None


def stamped(timestamp_ms: int) -> bool:
    """True when a record's timestamp is one; -1, 0 and others before 2000 say that nobody knew."""
    return timestamp_ms * 1000 >= MIN_TIME_US


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // SECOND_US, UTC).isoformat()


def to_cents(amount: object) -> int:
    """Integer cents of an amount given as a number with at most two decimals.

    The noise of binary fractions is rounded away: 0.1 + 0.2 is 30 cents. Minus zero is zero.
    """
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise InvalidTransaction("amount", amount, "a number with at most 2 decimals")
    if not abs(amount) <= MAX_AMOUNT_CENTS / 100:  # also catches NaN
        raise InvalidTransaction("amount", amount, f"within +-{MAX_AMOUNT_CENTS // 100}, in the one currency of all")
    cents = round(amount * 100)
    if abs(amount * 100 - cents) > 1e-4:
        raise InvalidTransaction("amount", amount, "a number with at most 2 decimals")
    return cents


def to_microseconds(timestamp: object, field: str = "timestamp") -> int:
    """Integer microseconds UTC of epoch seconds (int or float) or of ISO 8601 text with an offset.

    The letters of the text may be small ones, as in RFC 3339.
    """
    if isinstance(timestamp, str):
        try:
            moment = datetime.fromisoformat(timestamp.upper())
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise InvalidTransaction(field, timestamp, "ISO 8601 with an offset, like 2026-01-05T09:30:00+00:00")
        seconds: float = moment.timestamp()
    elif isinstance(timestamp, (int, float)) and not isinstance(timestamp, bool):
        seconds = timestamp
    else:
        raise InvalidTransaction(field, timestamp, "epoch seconds or ISO 8601 text")
    if not MIN_TIME_US / 1e6 <= seconds <= MAX_TIME_US / 1e6:  # also catches NaN
        raise InvalidTransaction(field, timestamp, "a time from 2000 to 2100 in epoch seconds")
    return round(seconds * 1_000_000)


def to_identifier(field: str, value: object) -> int:
    """The value of a field that names a transaction or a user."""
    if type(value) is not int or not 0 <= value <= MAX_ID:
        number_it = "; number your texts before you send them" if isinstance(value, str) else ""
        raise InvalidTransaction(field, value, f"an integer from 0 to {MAX_ID}{number_it}")
    return value


def _text(field: str, value: object) -> str:
    """The text as it was sent: two spellings of one name (Unicode's NFC and NFD) are two texts, everywhere."""
    if type(value) is not str or not 0 < len(value) <= MAX_TEXT:
        raise InvalidTransaction(field, value, f"a text of 1 to {MAX_TEXT} characters")
    if not value.isprintable() and _no_text.search(value):
        raise InvalidTransaction(
            field, value, f"a text of 1 to {MAX_TEXT} characters, none of them a control character"
        )
    return value
