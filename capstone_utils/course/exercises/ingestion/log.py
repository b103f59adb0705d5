"""Exercises of notebook 1 on waiting and on the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from capstone_utils.course.exercises.exercise import Exercise, Wrong, about
from capstone_utils.ingestion.streaming.consumer import Consumer
from capstone_utils.ingestion.streaming.topics import end_offsets

HOUR_US = 3_600_000_000
BUSY = "This machine is busy:"
FIRST_SECONDS, NEXT_SECONDS = 1.75, 1.25  # three in all: the second and the third read run side by side
AT_EASE = 0.5  # of those seconds: a machine on which our own read takes longer is busy


def _taken(answer: float, card: pd.DataFrame) -> str:
    cents = card["amount_cents"].tolist()
    check_us = (int(card["event_time_us"].iloc[0]) // HOUR_US + 1) * HOUR_US
    before = card.loc[card["event_time_us"] < check_us, "amount_cents"].tolist()
    messages = {
        sum(before[1:]) / 100: "",
        sum(before) / 100: "You counted the first payment, too. No later check undoes that one.",
        sum(cents[1:]) / 100: "That is all he took after the first one. The check at the next full hour stops him.",
        sum(cents) / 100: "That is all he took. The first payment cannot be undone; and the check stops him.",
        float(sum(before[1:])): "Those are cents: divide by 100.",
        float(len(before) - 1): "That is how many payments he made before the check. How many dollars were they?",
    }
    otherwise = f"{answer:,.2f} dollars is not it. Which payments lie between the first and the check?"
    return about(answer, messages, 0.005, otherwise)


def _place(answer: tuple[int, int], placed: pd.DataFrame, bootstrap_servers: str, topic: str) -> str:
    partition, offset = answer
    home = int(placed.loc[placed["user_id"] == 1339, "partition"].iloc[0])
    next_offset = end_offsets(bootstrap_servers, topic)[home]
    if partition != home:
        return f"The key decides, not the load: customer 1339's first payment lies in partition {home}."
    if offset == next_offset:
        return ""
    if offset == sum(end_offsets(bootstrap_servers, topic).values()):
        return f"You counted the whole topic. Only messages in partition {home} count."
    if offset == next_offset - 1:
        return f"Offset {offset} is taken: it is that of the last message. The first one had 0."
    return f"An offset counts the partition's messages, not the customer's: {next_offset} lie in partition {home}."


def _busy(bootstrap_servers: str, topic: str, messages: int, seconds: float) -> bool:
    """True when our own consumer, of a new group, takes more than its share of `seconds` to read all messages."""
    end, number = time.monotonic() + AT_EASE * seconds, 0
    group = f"exercise-ours-{time.time_ns()}"
    with Consumer(bootstrap_servers, group_id=group, auto_offset_reset="earliest") as consumer:
        consumer.subscribe([topic])
        while number < messages and time.monotonic() < end:
            number += sum(map(len, consumer.poll(timeout_ms=500).values()))
    return number < messages


def _read_all(
    read_all: Callable[[str, str, float], list[object] | None], topic: str, messages: int, bootstrap_servers: str
) -> str | None:
    group, other, retry = (f"exercise-{name}-{time.time_ns()}" for name in "abc")
    too_busy = f"{BUSY} to read {messages} messages takes longer than the time for it. Run the cell again."
    with ThreadPoolExecutor(1) as beside:
        busy = beside.submit(_busy, bootstrap_servers, topic, messages, FIRST_SECONDS)
        first = read_all(topic, group, FIRST_SECONDS)
    if first is None:
        return None
    if len(first) != messages:
        if busy.result() or len(read_all(topic, retry, NEXT_SECONDS) or []) == messages:
            return too_busy
        return (
            f"The first read found {len(first)} of {messages}. A group without a committed offset begins at the end, "
            'unless auto_offset_reset="earliest".'
        )
    with ThreadPoolExecutor(3) as each:
        busy = each.submit(_busy, bootstrap_servers, topic, messages, NEXT_SECONDS)
        again, fresh = each.map(lambda name: len(read_all(topic, name, NEXT_SECONDS) or []), (group, other))
    if again:
        return f"The second read of the same group found {again} again: nothing was committed."
    if fresh != messages:
        if busy.result():
            return too_busy
        return f"Another group found {fresh} of {messages}. Is the group's name fixed in your code?"
    return ""


EXERCISES = (
    Exercise(
        id="1.1",
        objective="O1.1",
        stars=2,
        task="""Suppose that the bank checks at each full hour and then blocks the card of customer 1872. How many
dollars does the thief take **after** his first payment and before that check?""",
        starter="taken = None  # <- dollars",
        call='check("1.1", taken, card=card)',
        solution="""before = card[card['event_time_us'] < 1_771_653_600_000_000]  # 06:00
taken = before['amount_cents'].iloc[1:].sum() / 100""",
        praise="Four payments in forty minutes. An hourly check would have come too late for all of them.",
        hints=(
            "His first payment is at 05:19, so the next check is at 06:00.",
            "Add the payments before 06:00, without the first one.",
        ),
        wrong=(
            Wrong("taken = 3928.48", "You counted the first payment, too."),
            Wrong("taken = 5841.45", "That is all he took after the first one."),
            Wrong("taken = 343298", "Those are cents"),
            Wrong("taken = 4", "That is how many payments"),
        ),
        check=_taken,
    ),
    Exercise(
        id="1.2",
        objective="O1.2",
        stars=1,
        task="Customer 1339 pays once more. In which partition will the message lie, and at which offset?",
        starter="place = None  # <- (partition, offset)",
        call='check("1.2", place, placed=placed, bootstrap_servers=where, topic=TOPIC)',
        solution="place = (2, 7)  # the key's partition; seven messages lie in it, at offsets 0 to 6",
        praise="The key chose the partition, and the partition counts for itself. The check has asked the broker.",
        hints=(
            "Look at the partition of customer 1339 in the table.",
            "Offsets begin at 0 in each partition. How many messages lie in this one?",
        ),
        wrong=(
            Wrong("place = (0, 0)", "The key decides, not the load"),
            Wrong("place = (2, 1)", "An offset counts the partition's messages"),
            Wrong("place = (2, 9)", "You counted the whole topic."),
            Wrong("place = (2, 6)", "Offset 6 is taken"),
        ),
        check=_place,
    ),
    Exercise(
        id="1.3",
        objective="O1.3",
        stars=2,
        task="""Make the loop whole. `read_all` polls again and again, collects every message, commits, and stops
when `seconds` are over. The check reads twice as one group and once as another.""",
        starter="""def read_all(topic, group, seconds):
    return None  # <- a list of all messages""",
        call='check("1.3", read_all, topic=TOPIC, messages=len(few), bootstrap_servers=where)',
        solution="""import time


def read_all(topic, group, seconds):
    deadline, messages = time.monotonic() + seconds, []
    how = dict(auto_offset_reset='earliest', enable_auto_commit=False)
    with KafkaConsumer(topic, bootstrap_servers=where, group_id=group, **how) as consumer:
        while time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                messages += records
            consumer.commit()
    return messages""",
        praise="Poll, work, commit, and an end: nearly every consumer in the world is this loop.",
        hints=(
            "`time.monotonic() + seconds` is the deadline. Ask it in the `while`.",
            "`poll` returns a dictionary: partition to list of messages. It may be empty.",
            "The first polls also join the group. Give each poll half a second: `timeout_ms=500`.",
            "A group that has committed nothing begins where `auto_offset_reset` says.",
        ),
        wrong=(
            Wrong(
                """def read_all(topic, group, seconds):
    how = dict(auto_offset_reset='earliest', enable_auto_commit=False)
    messages, end = [], time.monotonic() + seconds
    with KafkaConsumer(topic, bootstrap_servers=where, group_id=group, **how) as consumer:
        while time.monotonic() < end:
            messages += [m for part in consumer.poll(timeout_ms=500).values() for m in part]
    return messages""",
                "The second read of the same group found 9 again",
            ),
            Wrong(
                """def read_all(topic, group, seconds):
    how = dict(auto_offset_reset='earliest')
    messages = []
    with KafkaConsumer(topic, bootstrap_servers=where, group_id=group, **how) as consumer:
        while True:
            messages += [m for part in consumer.poll(timeout_ms=500).values() for m in part]
    return messages""",
                "Your code still ran after 4 seconds. Stop when the time is up.",
            ),
            Wrong(
                """def read_all(topic, group, seconds):
    messages, end = [], time.monotonic() + seconds
    with KafkaConsumer(topic, bootstrap_servers=where, group_id=group) as consumer:
        while time.monotonic() < end:
            messages += [m for part in consumer.poll(timeout_ms=500).values() for m in part]
    return messages""",
                "The first read found 0 of 9. A group without a committed offset begins at the end",
            ),
        ),
        check=_read_all,
        too_slow="Stop when the time is up.",
    ),
)
