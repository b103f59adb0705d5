"""Lab 4: one customer's payments are nearly all of the stream, and all of them lie in one partition."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from kafka import TopicPartition

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.course.work_directory import claim_topic
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.partition_log import assigned_consumer
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import end_offsets, recreate_topic
from capstone_utils.transaction import Transaction

TOPIC = "transactions.lab-4"
HOT_CUSTOMER, HOT_SHARE = 268, 0.8
RATE, SECONDS = 300, 4  # payments a second, and for how long
MEMBER_RATE = 200  # payments a second that one member can do
CALM = 60  # payments that may wait in a partition: a fifth of a second's
PLAN = {"partitions": 4, "members": 2, "limit": None}


class Measured(NamedTuple):
    """One run: what each partition got, and what waited in it when the last payment was sent; what was held
    back."""

    sent: dict[int, int]
    waiting: dict[int, int]
    held_back: Counter[int]  # by user

    @property
    def fullest(self) -> int:
        """The partition that waits most."""
        return max(self.waiting, key=self.waiting.__getitem__)


class HotKey(Incident):
    """A topic and the members of a group, each of which can do so many payments a second and no more."""

    number = 4
    praise = "One customer waits for a second look, and nobody waits for that customer."

    def __init__(self, broker: Broker, stream: Simulation) -> None:
        self._where, self._stream = broker.bootstrap_servers, stream
        claim_topic(broker.settings, TOPIC)
        self._spread = list(transactions_of(stream.transactions.head(RATE * SECONDS)))
        self._hot = [
            payment._replace(user_id=HOT_CUSTOMER) if number % 10 < 10 * HOT_SHARE else payment
            for number, payment in enumerate(self._spread)
        ]
        self._broken: Measured | None = None

    def steady(self) -> None:
        self._show(self._run(self._spread, PLAN))

    def break_it(self) -> None:
        self._broken = self._run(self._hot, PLAN)
        print(f"{HOT_SHARE:.0%} of the payments have the key of customer {HOT_CUSTOMER}")

    def watch(self) -> None:
        self._show(self._measured())

    def story(self, expected: float | None = None) -> None:
        run = self._measured()
        share = run.sent[run.fullest] / sum(run.sent.values())
        print(
            f"Partition {run.fullest} got {share:.0%} of all payments, and {run.waiting[run.fullest]} wait in it. Its "
            f"member can do {MEMBER_RATE} a second, and the other one has hardly anything to do."
            + beside(expected, run.waiting[run.fullest], "waiting payments")
        )

    def outcome(self, repair: object) -> str:
        if not isinstance(repair, Mapping) or set(repair) != set(PLAN):
            return f"A plan has {', '.join(PLAN)}; begin with {PLAN}."
        limit = repair["limit"]
        if not all(isinstance(repair[name], int) and 1 <= repair[name] <= 16 for name in ("partitions", "members")):
            return "Partitions and members are whole numbers from 1 to 16."
        if limit is not None and not (isinstance(limit, int) and limit >= 1):
            return "The limit is a number of payments a second of one customer, or None."
        run = self._run(self._hot, repair)
        self._show(run)
        others = sum(run.held_back.values()) - run.held_back[HOT_CUSTOMER]
        if others:
            return f"{others} payments of customers who did nothing were held back: the limit is too low."
        if run.waiting[run.fullest] > CALM:
            share = run.sent[run.fullest] / sum(run.sent.values())
            return (
                f"{run.waiting[run.fullest]} payments wait in partition {run.fullest}, which still gets {share:.0%}: "
                "one key lies in one partition, and a partition has one reader."
            )
        return ""

    def end(self) -> str:
        run = self._run(self._spread, PLAN)
        return f"{run.waiting[run.fullest]} wait in the fullest partition"

    def _measured(self) -> Measured:
        if self._broken is None:
            self.break_it()
        assert self._broken is not None
        return self._broken

    def _run(self, payments: list[Transaction], plan: Mapping[str, int | None]) -> Measured:
        """Send at the rate, with the members at work; measure when the last one is sent."""
        partitions, members = int(plan["partitions"] or 1), int(plan["members"] or 1)
        accepted, held_back = _limited(payments, plan["limit"])
        recreate_topic(self._where, TOPIC, partitions)
        done: Counter[int] = Counter()
        ending = threading.Event()
        with ThreadPoolExecutor(members) as threads:
            for member in range(members):
                threads.submit(
                    self._work,
                    range(member * partitions // members, (member + 1) * partitions // members),
                    done,
                    ending,
                )
            try:
                produce(self._where, TOPIC, accepted, RATE * len(accepted) / len(payments))
                sent = end_offsets(self._where, TOPIC)
                waiting = {partition: sent[partition] - done[partition] for partition in sent}
            finally:
                ending.set()
        return Measured(sent, waiting, held_back)

    def _work(self, partitions: Iterable[int], done: Counter[int], ending: threading.Event) -> None:
        """One member: it needs its time for each payment."""
        mine = [TopicPartition(TOPIC, partition) for partition in partitions]
        if not mine:
            return
        with assigned_consumer(self._where, mine) as consumer:
            consumer.seek_to_beginning(*mine)
            free_at = time.monotonic()
            while not ending.is_set():
                for partition, records in consumer.poll(50, max_records=20).items():
                    for _ in records:
                        free_at = max(free_at, time.monotonic() - 0.1) + 1 / MEMBER_RATE
                        time.sleep(max(free_at - time.monotonic(), 0))
                        done[partition.partition] += 1

    def _show(self, run: Measured) -> None:
        for partition, sent in sorted(run.sent.items()):
            print(f"partition {partition}: got {sent:4}, {run.waiting[partition]:4} wait")
        if run.held_back:
            print(f"held back for a second look: {sum(run.held_back.values())}")


def _limited(payments: list[Transaction], limit: int | None) -> tuple[list[Transaction], Counter[int]]:
    """The payments that go in, at most `limit` a second of one customer; the number held back, by customer."""
    accepted: list[Transaction] = []
    counts: Counter[tuple[int, int]] = Counter()
    held_back: Counter[int] = Counter()
    for number, payment in enumerate(payments):
        second = payment.user_id, number // RATE
        counts[second] += 1
        if limit is None or counts[second] <= limit:
            accepted.append(payment)
        else:
            held_back[payment.user_id] += 1
    return accepted, held_back


LAB = Lab(
    number=4,
    notebook=1,
    title="A hot key",
    steady=Step(
        f"""Two members share four partitions. Each can do {MEMBER_RATE} payments a second, and {RATE} come. The key
is the customer, so the load spreads by itself. All is well when hardly anything waits.""",
        """from capstone_utils.course.labs.ingestion.hot_key import HotKey

lab = HotKey(broker, stream)
lab.steady()""",
    ),
    hypothesis=Step(
        f"""Somebody tests a stolen card by machine: {HOT_SHARE:.0%} of the {RATE} payments a second are of customer
{HOT_CUSTOMER}. How many payments will wait in the fullest partition after {SECONDS} seconds?""",
        "expected = None  # <- your guess: payments that wait",
    ),
    broken=Step("The same number of payments, and another mix of keys.", "lab.break_it()"),
    watch=Step("Watch each partition by itself: the sum over all of them hides what happens here.", "lab.watch()"),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Change the plan: `{"partitions": 4, "members": 2, "limit": None}`. The limit is how many payments a
second of **one** customer go in; more are held back for a second look. Which of the three helps?""",
        "plan = None  # <- a plan",
    ),
    proof=Step("The same payments again, by your plan.", "lab.prove(plan)"),
    lesson="""The key is the unit of order, and so the unit of **parallelism**. More partitions or members do not
divide one key. What helps is a limit for that key, or work that costs less.""",
    solution='plan = {"partitions": 4, "members": 2, "limit": 20}',
    wrong=(
        Wrong('plan = {"partitions": 8, "members": 2, "limit": None}', "one key lies in one partition"),
        Wrong('plan = {"partitions": 4, "members": 4, "limit": None}', "a partition has one reader"),
        Wrong('plan = {"partitions": 4, "members": 2, "limit": 1}', "the limit is too low"),
    ),
)
