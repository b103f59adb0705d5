"""Lab 3: one payment is stamped by a clock that is fast, just before a thief tests the same customer's
card."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.course.work_directory import claim_topic
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import BRIEF
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import consume
from capstone_utils.ingestion.streaming.topics import recreate_topic
from capstone_utils.transaction import SECOND_US, InvalidTransaction, Transaction

TOPIC, DEAD = "transactions.lab-3", "dead-letters.lab-3"
CUSTOMER, FIRST, LAST = 268, 310_272, 310_301  # her own purchase, and the last test of her card
BEFORE_US, LATE_US, AHEAD_US = 1800 * SECOND_US, 1200 * SECOND_US, 70 * 60 * SECOND_US
EXTRA_ID = 900_000_000_000
COUNT = BRIEF.names.index("transaction_count")
SECONDS = 20.0

Guard = Callable[[Transaction, int], Transaction | None]


class Replayed(NamedTuple):
    """One replay: the counts of the customer's payments, how many came too late, what was refused and lost."""

    counts: list[float]
    too_late: int
    refused: list[str]
    lost: int

    @property
    def blind(self) -> int:
        """The number of her payments without a count."""
        return sum(map(math.isnan, self.counts))


class FastClock(Incident):
    """Half an hour of 6 March, sent again through a topic into the features, as after an outage."""

    number = 3
    praise = "One dead letter, and every count is back. The fault stays with the one payment that has it."

    def __init__(self, broker: Broker, stream: Simulation) -> None:
        self._where = broker.bootstrap_servers
        claim_topic(broker.settings, TOPIC)
        frame = stream.transactions
        hers = frame[(frame["user_id"] == CUSTOMER) & frame["transaction_id"].between(FIRST, LAST)]
        begins, ends = hers["event_time_us"].iloc[0] - BEFORE_US, hers["event_time_us"].iloc[-1]
        self._payments = list(transactions_of(frame[frame["event_time_us"].between(begins, ends)]))
        place = next(place for place, each in enumerate(self._payments) if each.transaction_id == FIRST) + 1
        first = self._payments[0]
        late = first._replace(transaction_id=EXTRA_ID + 1, event_time_us=first.event_time_us - LATE_US)
        self._payments.insert(place, late)  # some are late, on every day
        her = self._payments[place - 1]
        fast = her._replace(transaction_id=EXTRA_ID, event_time_us=her.event_time_us + AHEAD_US)
        self._broken = [*self._payments[:place], fast, *self._payments[place:]]
        self._seen: Replayed | None = None

    def steady(self) -> None:
        self._show(self._replay(self._payments, None))

    def break_it(self) -> None:
        print(f"one payment of customer {CUSTOMER} is stamped {AHEAD_US // (60 * SECOND_US)} minutes ahead")
        self._seen = self._replay(self._broken, None)

    def watch(self) -> None:
        self._show(self._measured())

    def at_the_door(self) -> None:
        """Send a payment of this moment with the same fault, and print what the door says of it."""
        now_us = time.time_ns() // 1000
        payment = self._payments[0]._replace(transaction_id=EXTRA_ID, event_time_us=now_us + AHEAD_US)
        (reason,) = self._replay([payment], None).refused
        print("refused:", reason)

    def story(self, expected: float | None = None) -> None:
        seen = self._measured()
        print(
            f"{seen.blind} of her {len(seen.counts)} payments have no count: beside the one from the future they look "
            f"more than an hour late. Nothing was refused ({len(seen.refused)} dead letters): the door compares with "
            "the broker's clock, and in a replay of March every payment is months behind it."
            + beside(expected, seen.blind, "payments without a count")
        )

    def outcome(self, repair: object) -> str:
        if not callable(repair):
            return f"{repair!r} is no function of a payment and of a clock."
        seen = self._replay(self._broken, repair)
        self._show(seen)
        if seen.lost:
            return (
                f"{seen.lost} payments were neither sent nor refused: return the payment, or raise InvalidTransaction."
            )
        if seen.blind:
            return f"{seen.blind} of her payments still have no count: the one from the future got in."
        if len(seen.refused) != 1:
            return f"{len(seen.refused)} payments were refused, such as: {seen.refused[0]}. One is from the future."
        return ""

    def end(self) -> str:
        seen = self._replay(self._payments, None)
        return f"{seen.blind} payments without a count, {seen.too_late} too late"

    def _measured(self) -> Replayed:
        if self._seen is None:
            self.break_it()
        assert self._seen is not None
        return self._seen

    def _replay(self, payments: list[Transaction], guard: Guard | None) -> Replayed:
        """Send the payments that the guard lets in, read them, and make their features."""
        accepted, refused = _guarded(payments, guard)
        lost = len(payments) - len(accepted) - len(refused)
        for topic in (TOPIC, DEAD):
            recreate_topic(self._where, topic, 1)
        produce(self._where, TOPIC, accepted)
        read = consume(self._where, TOPIC, f"lab-3-{time.time_ns()}", len(accepted), SECONDS, DEAD)
        letters = read_partition(self._where, DEAD, 0)
        refused += [dict(letter.headers)["reason"].decode() for letter in letters]
        online = OnlineFeatures(BRIEF)
        counts = []
        for received in read:
            features = online.update(received.transaction)
            hers = received.transaction.user_id == CUSTOMER and received.transaction.transaction_id < EXTRA_ID
            if features and hers and received.transaction.transaction_id >= FIRST:
                counts.append(features[COUNT])
        return Replayed(counts, online.too_late, refused, lost)

    def _show(self, seen: Replayed) -> None:
        print("counts of her payments:", *("-" if math.isnan(count) else f"{count:.0f}" for count in seen.counts))
        print(f"too late: {seen.too_late}; dead letters: {len(seen.refused)}")


def _guarded(payments: list[Transaction], guard: Guard | None) -> tuple[list[Transaction], list[str]]:
    """What the guard lets in, and the reasons for the rest; its clock is the latest time that it has let in."""
    if guard is None:
        return list(payments), []
    accepted, refused, clock_us = [], [], payments[0].event_time_us
    for payment in payments:
        try:
            let_in = guard(payment, clock_us)
        except InvalidTransaction as reason:
            refused.append(str(reason))
            continue
        if let_in is not None:
            accepted.append(payment)
            clock_us = max(clock_us, payment.event_time_us)
    return accepted, refused


LAB = Lab(
    number=3,
    notebook=2,
    title="A clock that is fast",
    steady=Step(
        f"""A service was down for half an hour, and its payments are sent again: those of 6 March until a thief has
tested the card of customer {CUSTOMER} thirteen times. All is well when her payments count from 1 to 14,
and none is too late.""",
        """from capstone_utils.course.labs.features.fast_clock import FastClock

lab = FastClock(broker, stream)
lab.steady()""",
    ),
    hypothesis=Step(
        """Just after her own purchase one terminal, whose clock is 70 minutes fast, sends one more payment of
hers. The thief's thirteen tests follow. A window is only given to payments that are at most an hour
late. How many of her payments get **no count**?""",
        "expected = None  # <- your guess: payments without a count",
    ),
    broken=Step("One wrong time among some two hundred right ones.", "lab.break_it()"),
    watch=Step(
        "Watch the counts, and how many payments are too late (in production: `late_transactions_total`).",
        "lab.watch()",
    ),
    happened=Step(
        """In the words of this run. The last line is the same fault in a payment of **this moment**: there every
door of this system refuses what is more than five minutes ahead of its clock.""",
        "lab.story(expected)\nlab.at_the_door()",
    ),
    repair=Step(
        """A replay has no clock of its own but the stream's. Write a guard for it. `clock_us` is the latest event
time that it has let in, of any customer. It returns the payment, or raises `InvalidTransaction(field,
value, expected)` for one that is more than five minutes ahead.""",
        "guard = None  # <- a function: def guard(payment, clock_us)",
    ),
    proof=Step("The same replay, with your guard in front of the topic.", "lab.prove(guard)"),
    lesson="""**Event time is somebody else's clock.** Compare it with one of yours where the payment comes in. Where
there is no such clock, as in a replay, compare it with its neighbours.""",
    solution="""from capstone_utils.transaction import InvalidTransaction


def guard(payment, clock_us):
    if payment.event_time_us > clock_us + 5 * 60 * 1_000_000:
        raise InvalidTransaction("timestamp", payment.event_time_us, "at most 5 minutes ahead")
    return payment""",
    wrong=(
        Wrong(
            """from capstone_utils.transaction import InvalidTransaction


def guard(payment, clock_us):
    if abs(payment.event_time_us - clock_us) > 5 * 60 * 1_000_000:
        raise InvalidTransaction("timestamp", payment.event_time_us, "near the clock")
    return payment""",
            "2 payments were refused",
        ),
        Wrong(
            """def guard(payment, clock_us):
    return payment""",
            "the one from the future got in",
        ),
        Wrong(
            """def guard(payment, clock_us):
    return payment if payment.event_time_us <= clock_us + 300_000_000 else None""",
            "1 payments were neither sent nor refused",
        ),
    ),
)
