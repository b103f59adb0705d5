"""Nine questions on earlier notebooks, three at the opening of each later one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A choice, and the sentence for those who take it."""

    text: str
    message: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question with three choices, one of them right, and the heading in the notebook under which it was taught."""

    text: str
    notebook: int
    heading: str
    options: tuple[Option, Option, Option]


READ_ALL = Question(
    "1. A consumer has read every message of a topic and committed. What lies in the topic now?",
    1,
    "Consumer and consumer group",
    (
        Option("nothing", "That would be a queue. A topic is a log: reading removes nothing."),
        Option("all the messages", "Another group may read them from the start.", right=True),
        Option("what others have not read", "The topic does not count its readers; each group keeps its own offsets."),
    ),
)
KEY = Question(
    "2. What decides in which partition a payment lies?",
    1,
    "Producer, key and offset",
    (
        Option("which partition is emptiest", "Then one customer's payments would lie in many, in no order."),
        Option("the consumer that will read it", "The producer does not know its consumers."),
        Option("its key", "One customer, one key, one partition: so they stay in order.", right=True),
    ),
)
UNREADABLE = Question(
    "3. A message cannot be read as a payment. What does a good consumer do?",
    1,
    "Dead letters",
    (
        Option("set it aside with its reason, go on", "Nothing is lost, and nothing stops.", right=True),
        Option("skip it", "Then nobody will ever know that it came."),
        Option("raise an error and stop", "It would read the same message again after each restart, and stop again."),
    ),
)
COMMIT = Question(
    "1. When does a consumer commit the offset of a message?",
    1,
    "Dead letters",
    (
        Option("as soon as it is polled", "A crash in the work that follows would lose it."),
        Option("when its work is done", "A crash before that means work done twice, but nothing lost.", right=True),
        Option("when the topic is empty", "A stream never ends. After a crash all of it would be done again."),
    ),
)
EDGE = Question(
    "2. A payment is exactly 300 seconds old. Is it in the window of the last 300 seconds?",
    2,
    "Five payments, by hand",
    (
        Option("yes", "(t - w, t] is open on the left: t - w itself is out."),
        Option("online yes, offline no", "Then training and serving would differ, and no test of one side sees it."),
        Option("no", "The window is (t - w, t]: both sides read that one definition.", right=True),
    ),
)
REPORTS = Question(
    "3. Which fraud reports may the table of merchant risk of 7 March use?",
    2,
    "The kitchen at work: features from the real topic",
    (
        Option("those that came before 7 March", "It knows what one knew that morning.", right=True),
        Option("all of frauds before 7 March", "Some are reported days later: on the 7th nobody knew of them."),
        Option("all that came by its evening", "The table is made when the day begins. Its evening is the future."),
    ),
)
CLOCK = Question(
    "1. A payment was made at 11:42 and is read at 11:50. At which time does its window end?",
    1,
    "The stream in real time",
    (
        Option("at 11:42", "Event time stands in the message and never changes.", right=True),
        Option("at 11:50", "That is when we happened to process it. A replay would give other features."),
        Option("at the time of the last commit", "Offsets have no clock. The window belongs to the payment."),
    ),
)
FORGETS = Question(
    "2. One payment is lost online. How long is the count of the last five minutes wrong?",
    2,
    "Online against offline",
    (
        Option("for ever", "A running mean would be. A window forgets."),
        Option("until the daily table is made", "This count does not come from a daily table."),
        Option("for five minutes at most", "Then the lost payment would have left the window anyway.", right=True),
    ),
)
LEAK = Question(
    "3. A model is superb on paper and useless in service. The split was by time. What went wrong?",
    3,
    "What a leak looks like",
    (
        Option(
            "its threshold was too high",
            "A threshold moves precision and recall; it does not make both fall to nothing.",
        ),
        Option("a column knew the future", "Take the future away, and see which values change.", right=True),
        Option("it had too few trees", "Then it would have been poor on paper, too."),
    ),
)
OPENINGS = {
    "R2": (READ_ALL, KEY, UNREADABLE),
    "R3": (COMMIT, EDGE, REPORTS),
    "R4": (CLOCK, FORGETS, LEAK),
}
