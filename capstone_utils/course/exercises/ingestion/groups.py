"""Exercises of notebook 1 on consumer groups."""

from __future__ import annotations

import math

from capstone_utils.course.exercises.exercise import Exercise, Wrong


def _idle(answer: float, members: int, partitions: int) -> str:
    idle = max(members - partitions, 0)
    messages = {
        idle: "",
        0: f"{members} members, {partitions} partitions, one reader for each partition: somebody waits.",
        members - 2: "You compared with the two members of before. Compare with the partitions.",
        min(members, partitions): "That is how many have something to read.",
    }
    return messages.get(int(answer), "Each partition is read by exactly one member of the group.")


def _partitions(answer: float, worker: int, load: int, spare: float) -> str:
    need = load * (1 + spare) / worker
    if answer == math.ceil(need):
        return ""
    if answer == math.ceil(load / worker):
        have, asked = answer * worker, need * worker
        return f"{answer:.0f} x {worker:,} = {have:,.0f}, and {load:,} with {spare:.0%} is {asked:,.0f}."
    if abs(answer - need) < 0.01:
        return "Partitions are whole: round up."
    if answer in (math.ceil(need * worker / 1_000), math.floor(need * worker / 1_000)):
        return "You divided by 1,000, today's rate. Divide by what one worker does."
    return f"How many workers of {worker:,} a second carry {need * worker:,.0f} a second?"


EXERCISES = (
    Exercise(
        id="1.6",
        objective="O1.3",
        stars=1,
        task="""Two members shared four partitions. Suppose there were **five** members: how many would have nothing
to read?""",
        starter="members_without_work = None  # <- your number",
        call='check("1.6", members_without_work, members=5, partitions=settings.partitions)',
        solution="members_without_work = 1",
        praise="A partition has one reader in a group, so members beyond the number of partitions wait in reserve.",
        hints=(
            "How many partitions does the topic have?",
            "Each partition is read by exactly one member of the group.",
        ),
        wrong=(
            Wrong("members_without_work = 0", "5 members, 4 partitions"),
            Wrong("members_without_work = 3", "You compared with the two members of before."),
            Wrong("members_without_work = 4", "That is how many have something to read."),
        ),
        check=_idle,
    ),
    Exercise(
        id="1.7",
        objective="O1.3",
        stars=2,
        task="""One worker does 2,500 payments a second. A holiday brings 9,000 a second, and the bank wants 30 % to
spare. How many partitions does the topic need **at least**, so that enough workers can share it?""",
        starter="partitions_needed = None  # <- your number",
        call='check("1.7", partitions_needed, worker=2_500, load=9_000, spare=0.3)',
        solution="""import math

partitions_needed = math.ceil(9_000 * 1.3 / 2_500)  # 4.68, so 5""",
        praise="Partitions are chosen for the load to come: adding some later moves keys to other partitions.",
        hints=(
            "9,000 with 30 % to spare is 11,700 a second.",
            "How many workers does that take? A part of one is one.",
        ),
        wrong=(
            Wrong("partitions_needed = 4", "4 x 2,500 = 10,000, and 9,000 with 30% is 11,700."),
            Wrong("partitions_needed = 4.68", "Partitions are whole"),
            Wrong("partitions_needed = 12", "You divided by 1,000"),
        ),
        check=_partitions,
    ),
)
