"""What an exercise's cell calls: the check, hints, the solution, and how far the learner has come."""

from __future__ import annotations

from collections import Counter

from capstone_utils.course.exercises.deadline import TimeIsUp, run_within
from capstone_utils.course.exercises.exercise import Exercise
from capstone_utils.course.exercises.features import mistakes, parity, windows
from capstone_utils.course.exercises.ingestion import groups, log, schema
from capstone_utils.course.exercises.monitoring import alerting, drift, gauges, latency, verdicts
from capstone_utils.course.exercises.serving import honesty, judging, rules, running, service
from capstone_utils.course.learner.passport import read_passport, stamp

SECONDS = 4.5  # a cell ends within five
MODULES = (
    log,
    schema,
    groups,
    windows,
    mistakes,
    parity,
    judging,
    honesty,
    rules,
    service,
    running,
    gauges,
    latency,
    alerting,
    drift,
    verdicts,
)
EXERCISES: dict[str, Exercise] = {
    each.id: each
    for each in sorted(
        (each for module in MODULES for each in module.EXERCISES),
        key=lambda each: tuple(int(part) for part in each.id.split(".")),
    )
}

_hinted: Counter[str] = Counter()


def check(number: str, answer: object, **given: object) -> None:
    """Check the answer to an exercise on the notebook's own data, and print what came out.

    It never raises, and it ends within five seconds whatever the answer's code does.
    """
    exercise = EXERCISES[number]
    message = outcome(exercise, answer, given)
    if message is None:
        print(f'Your turn ({number}). Change the cell and run it again; hint("{number}") helps.')
    elif message:
        print(f"Not yet ({number}). {message}")
    else:
        stamp(number)
        print(f"Right ({number}). {exercise.praise}")


def outcome(exercise: Exercise, answer: object, given: dict[str, object]) -> str | None:
    """The outcome of a check: "" for right, None for untouched, a sentence for anything else."""
    if answer is None:
        return None
    try:
        return run_within(SECONDS, lambda: exercise.check(answer, **given))
    except TimeIsUp:
        return f"Your code still ran after {SECONDS:.0f} seconds. {exercise.too_slow}"
    except BaseException as error:  # of the learner's code, whatever it is: an answer must not break the notebook
        text = f": {error}" if str(error) else ""
        return f"Your code raised {type(error).__name__}{text}"


def hint(number: str) -> None:
    """Print the next hint of an exercise; after the last one, it begins again."""
    hints = EXERCISES[number].hints
    print(f"Hint {_hinted[number] % len(hints) + 1} of {len(hints)} ({number}): {hints[_hinted[number] % len(hints)]}")
    _hinted[number] += 1


def solution(number: str) -> None:
    """Print the solution of an exercise."""
    print(EXERCISES[number].solution)


def progress(notebook: int) -> None:
    """Print how many exercises of a notebook are solved, and which one is next."""
    numbers, stamps = [number for number in EXERCISES if number.startswith(f"{notebook}.")], read_passport().stamps
    left = [number for number in numbers if number not in stamps]
    print(f"Exercises: {len(numbers) - len(left)} of {len(numbers)} solved" + (f"; next: {left[0]}" if left else ""))
