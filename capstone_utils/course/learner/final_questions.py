"""Twelve questions at the end of the course, three on each notebook, mixed."""

from __future__ import annotations

from capstone_utils.course.learner.questions import Option, Question

FINAL = (
    Question(
        "1. A bank checks payments once an hour. What does scoring at once save?",
        1,
        "Stream against batch: what waiting costs",
        (
            Option("the first fraud on a card", "That one still happens: nobody knew the thief before it."),
            Option("what the thief takes after his first fraud", "He has no second chance.", right=True),
            Option("the work of scoring", "Just as many payments are scored, only sooner."),
        ),
    ),
    Question(
        "2. Three members of a group read a topic of four partitions. A fourth one joins. What happens?",
        1,
        "The stream in real time",
        (
            Option("it gets every fourth message", "Messages are not dealt out; partitions are."),
            Option("it waits until a member leaves", "There are four partitions: enough for four members."),
            Option("the broker shares the partitions out again", "That is a rebalance.", right=True),
        ),
    ),
    Question(
        "3. Online and offline differ in one feature of one payment in a million. What do you do?",
        2,
        "Online against offline",
        (
            Option("find out why", "A difference has a reason, and the next one may be large.", right=True),
            Option("round both to two digits", "That hides the difference, and its reason stays."),
            Option("nothing: it is too small", "What differs once will differ again, perhaps for every thief."),
        ),
    ),
    Question(
        "4. Which of these may a feature of this moment use?",
        2,
        "What goes wrong without care",
        (
            Option("the customer's mean of the whole month", "At the till the rest of the month has not happened yet."),
            Option("what was known at this moment", "Nothing else can be had at the till.", right=True),
            Option("the window centred on this moment", "It looks ahead: superb in training, impossible in service."),
        ),
    ),
    Question(
        "5. F1 is 0.95 on the test week. Which question comes first?",
        3,
        "How sure are we?",
        (
            Option("beside what, and how wide is the interval?", "One figure alone says nothing.", right=True),
            Option("can more trees make it 0.96?", "First ask whether 0.95 can be believed at all."),
            Option("which threshold makes it highest on that week?", "Then it would no longer be a test week."),
        ),
    ),
    Question(
        "6. Why does the service load a model with a manifest, and no pickle?",
        3,
        "Export, with a manifest",
        (
            Option("a pickle is larger", "Size is not the point."),
            Option("a pickle cannot hold XGBoost", "It can. It can also hold any other code."),
            Option("a pickle runs code when it is opened", "And a manifest names what must be inside.", right=True),
        ),
    ),
    Question(
        "7. A worker writes its scores, and is killed before it commits its offsets. Both are one Kafka transaction. "
        "What does a reader see?",
        3,
        "Pull the plug",
        (
            Option("the scores, twice", "The first ones were never committed, so nobody sees them."),
            Option("the scores, once", "The next worker writes them again, with the offsets.", right=True),
            Option("no scores", "The next worker reads on from the last commit, and writes them."),
        ),
    ),
    Question(
        "8. `fraud_predictions_total` is 500. What does that say?",
        4,
        "Traffic",
        (
            Option("nothing, without a second look at another time", "So `rate` looks twice.", right=True),
            Option("500 frauds a second", "A counter has no time in it. Take its rate."),
            Option("that the fraud rate is high", "500 of how many, and since when?"),
        ),
    ),
    Question(
        "9. What is `for: 2m` in an alert rule good for?",
        4,
        "A fraud wave",
        (
            Option("it asks every two minutes", "How often rules are asked is set elsewhere, once for all."),
            Option("it rings for two minutes", "It rings as long as it is true."),
            Option("chance wakes nobody", "It has to stay true for two minutes.", right=True),
        ),
    ),
    Question(
        "10. All gauges of drift are quiet. What do you know about new thieves?",
        4,
        "What drift gauges see, and what they miss",
        (
            Option("nothing yet", "They are too few to move a distribution. Wait for labels.", right=True),
            Option("there are none", "A few payments among thousands show in no distribution."),
            Option("the model still catches them", "That is what only labels can tell."),
        ),
    ),
    Question(
        "11. A challenger passes all checks but one. What does the gate say?",
        4,
        "The gate",
        (
            Option("promoted, with a note", "Nobody reads the note. A gate that may be outvoted is none."),
            Option("refused, with a reason", "One check that fails is enough.", right=True),
            Option("promoted, if recall is not the one", "Then all the other checks would be for nothing."),
        ),
    ),
    Question(
        "12. A message cannot be read. Why is it kept, with its bytes and its reason?",
        1,
        "Dead letters",
        (
            Option("so that it can be counted as a payment", "It is none, as long as nobody can read it."),
            Option("because Kafka cannot delete", "Old messages are deleted all the time. That is not why."),
            Option("so that it can be tried again later", "When its sender is mended, it is replayed.", right=True),
        ),
    ),
)
