"""Lab 2: a message that cannot be read, and a consumer that has no place for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.course.work_directory import claim_topic
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.dead_letters import DeadLetters, Unreadable
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.topics import end_offsets, recreate_topic
from capstone_utils.transaction import InvalidTransaction, Transaction

TOPIC, DEAD, GROUP = "transactions.lab-2", "dead-letters.lab-2", "lab-2"
FIRST, MORE = 100, 100  # payments before the poison, and before each start after it
LIVES = 3  # starts of the consumer that are watched
READ_SECONDS = 10.0

Work = Callable[[ConsumerRecord], object]


class Life(NamedTuple):
    """One start of the consumer: what its work returned, where it stopped and why ("" at the end of the
    topic)."""

    results: list[object]
    offset: int
    error: str


def read_plainly(message: ConsumerRecord) -> Transaction:
    """Read a payment, and trust every sender."""
    return Transaction.from_json(message.value)


class PoisonMessage(Incident):
    """A consumer that polls, works and commits, and is started again each time it crashes."""

    number = 2
    praise = "Nothing stopped, and nothing was lost: what cannot be read waits with its reason and its place."

    def __init__(self, broker: Broker, stream: Simulation) -> None:
        self._where, settings = broker.bootstrap_servers, broker.settings
        self._group = f"{GROUP}-{time.time_ns()}"  # a group of its own each time: it remembers nothing
        claim_topic(settings, TOPIC)
        recreate_topic(self._where, TOPIC, 1)
        recreate_topic(self._where, DEAD, 1)
        self._payments = transactions_of(stream.transactions)
        self._first = next(self._payments)
        self._sent: list[Transaction] = []
        self._poison: list[bytes] = []
        self._lives: list[Life] = []

    def steady(self) -> None:
        self._send(FIRST)
        life = self._live(read_plainly)
        print(f"read {len(life.results)} payments, {self._lag()} left unread")

    def break_it(self) -> None:
        good = self._first.to_dict()
        wrong = [{**good, "amount": 19.999}, {**good, "timestamp": "yesterday"}, {**good, "location": None}]
        missing = {name: good[name] for name in good if name != "user_id"}
        self._poison = [b"not json", *(json.dumps(fields).encode() for fields in (*wrong, missing))]
        self._send(0, self._poison)
        print(f"sent {len(self._poison)} messages that are no payments")

    def watch(self) -> None:
        self._lives = []
        for number in range(1, LIVES + 1):
            self._send(MORE)  # the world does not wait
            life = self._live(read_plainly)
            self._lives.append(life)
            print(f"start {number}: stopped at offset {life.offset}, {self._lag()} left unread")

    def story(self, expected: float | None = None) -> None:
        offsets = {life.offset for life in self._lives}
        print(
            f"{len(self._lives)} starts, and each stopped at offset {', '.join(map(str, sorted(offsets)))}: "
            f"{self._lives[0].error}. A crash commits nothing, so the next start reads the same message again. "
            f"{self._lag()} messages wait behind it." + beside(expected, self._lag(), "unread messages")
        )

    def outcome(self, repair: object) -> str:
        if not callable(repair):
            return f"{repair!r} is no function of a message and of `set_aside`."
        self._commit(FIRST)  # where every start before it stopped
        recreate_topic(self._where, DEAD, 1)
        dead = DeadLetters(self._where, DEAD)

        def set_aside(message: ConsumerRecord, error: InvalidTransaction) -> None:
            dead.put([Unreadable(message, error)])

        try:
            life = self._live(lambda message: repair(message, set_aside))
        finally:
            dead.close()
        if life.error:
            return f"It stopped at offset {life.offset} again: {life.error}."
        return self._compare([each for each in life.results if isinstance(each, Transaction)])

    def _compare(self, read: list[Transaction]) -> str:
        aside = [record.value for record in read_partition(self._where, DEAD, 0)]
        print(f"read {len(read)} payments, set aside {len(aside)} messages, {self._lag()} left unread")
        if any(value not in self._poison for value in aside):
            return "A good payment was set aside: only what cannot be read belongs there."
        lost = len(self._poison) - len(set(aside))
        if lost:
            return f"{lost} messages were neither read nor set aside: they are lost."
        if read != self._sent[FIRST:]:
            return f"{len(self._sent) - FIRST} payments came, and your function returned {len(read)}."
        return ""

    def end(self) -> str:
        self._commit(end_offsets(self._where, TOPIC)[0])
        return f"{self._lag()} left unread"

    def _commit(self, offset: int) -> None:
        """Make the group go on at this offset."""
        with self._consumer() as consumer:
            consumer.seek(TopicPartition(TOPIC, 0), offset)
            consumer.commit()

    def _send(self, payments: int, poison: list[bytes] | None = None) -> None:
        batch = list(islice(self._payments, payments))
        self._sent += batch
        with Producer(self._where) as producer:
            for value in (*(payment.to_json() for payment in batch), *(poison or ())):
                producer.send(TOPIC, value, key=b"1")
            producer.flush()

    def _live(self, work: Work) -> Life:
        """Poll, work and commit until the end of the topic or a crash."""
        here, results = TopicPartition(TOPIC, 0), list[object]()
        end, offset = end_offsets(self._where, TOPIC)[0], -1
        deadline = time.monotonic() + READ_SECONDS
        with self._consumer() as consumer:
            while consumer.position(here) < end and time.monotonic() < deadline:
                for record in consumer.poll(500, max_records=50).get(here, ()):
                    offset = record.offset
                    try:
                        results.append(work(record))
                    except Exception as error:  # the crash of this start; nothing is committed
                        return Life(results, offset, f"{type(error).__name__}: {error}")
                consumer.commit()
        return Life(results, offset, "")

    def _consumer(self) -> Any:
        how = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "group_id": self._group}
        consumer = KafkaConsumer(bootstrap_servers=self._where, **how)
        consumer.assign([TopicPartition(TOPIC, 0)])
        return consumer

    def _lag(self) -> int:
        here = TopicPartition(TOPIC, 0)
        with self._consumer() as consumer:
            return int(end_offsets(self._where, TOPIC)[0] - (consumer.committed(here) or 0))


LAB = Lab(
    number=2,
    notebook=1,
    title="A poison message",
    steady=Step(
        """A consumer polls, works and commits. Its work is one line, which trusts every sender. When it crashes,
it is started again. All is well when nothing is left unread.""",
        """from capstone_utils.course.labs.ingestion.poison_message import PoisonMessage

lab = PoisonMessage(broker, stream)
lab.steady()""",
    ),
    hypothesis=Step(
        f"""Five messages come that are no payments. Then the consumer is started {LIVES} times, and before each start
{MORE} more good payments come. How many messages are left unread after that?""",
        "expected = None  # <- your guess: messages left unread",
    ),
    broken=Step("One sender has a bad day.", "lab.break_it()"),
    watch=Step(
        "Watch the offset of each crash, and what is left unread (in production: the panel *lag*).", "lab.watch()"
    ),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Write the work of the consumer. It returns the payment. A message that cannot be read goes to
`set_aside(message, error)`, which writes it to a dead-letter topic and waits for the acknowledgement.""",
        """work = None  # <- a function: def work(message, set_aside)""",
    ),
    proof=Step(
        "The consumer starts once more, with your work. The check compares what came out with what was sent.",
        "lab.prove(work)",
    ),
    lesson="""A consumer may **refuse** nothing and **lose** nothing. What waits in the dead-letter topic is not gone:
when its sender is mended, `python3 -m capstone_utils dead-letters replay` tries it again.""",
    solution="""def work(message, set_aside):
    try:
        return Transaction.from_json(message.value)
    except InvalidTransaction as error:
        set_aside(message, error)""",
    wrong=(
        Wrong(
            """def work(message, set_aside):
    return Transaction.from_json(message.value)""",
            "It stopped at offset 100 again",
        ),
        Wrong(
            """def work(message, set_aside):
    try:
        return Transaction.from_json(message.value)
    except InvalidTransaction:
        pass""",
            "5 messages were neither read nor set aside",
        ),
        Wrong(
            """def work(message, set_aside):
    set_aside(message, InvalidTransaction("message", message.value, "good"))""",
            "A good payment was set aside",
        ),
    ),
)
