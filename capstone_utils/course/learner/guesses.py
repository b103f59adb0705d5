"""Guess before you run: a number said beforehand, and what the run says to it."""

from __future__ import annotations

import math

import pandas as pd

from capstone_utils.course.learner.passport import change_passport, read_passport
from capstone_utils.course.results import shown

# By number: what is guessed, and its unit.
GUESSES: dict[str, tuple[str, str]] = {
    "P1.1": ("median time unseen, checked nightly", "minutes"),
    "P1.2": ("messages in the first one's partition, of nine", "messages"),
    "P1.3": ("second read of one group", "payments"),
    "P1.4": ("payments read among the unreadable", "payments"),
    "P1.5": ("median time in the pipe", "ms"),
    "P2.1": ("count in the window at second 420", "payments"),
    "P2.2": ("from broker to features", "payments a second"),
    "P2.3": ("rows that one lost payment makes wrong", "%"),
    "P2.4": ("fraud that a cache of a minute counts wrong", "%"),
    "P2.5": ("fraud that is alone in its five minutes", "%"),
    "P3.1": ("F1 of the best single rule", ""),
    "P3.2": ("F1 of the brief's five", ""),
    "P3.3": ("F1 of the leak, in service", ""),
    "P3.4": ("width of the interval around F1", ""),
    "P3.5": ("recall of the five on cloned cards", ""),
    "P3.6": ("card tests caught that training never saw", "%"),
    "P3.7": ("95 of 100 responses of /score are faster", "ms"),
    "P3.8": ("lost or scored twice after a kill", "payments"),
    "P4.1": ("from the wave to the alert", "s"),
    "P4.2": ("from the wave's end to quiet", "s"),
    "P4.3": ("p95 of answers that take 210 ms", "ms"),
    "P4.4": ("from a new fraud to the alarm", "days"),
    "P4.5": ("largest stability index after two weeks", ""),
    "P4.6": ("new fraud caught after the gate", "%"),
}
CLOSE = 0.1  # a tenth of what the run says


def guess(number: str, value: float | None) -> None:
    """Keep a guess until it is revealed; None skips it. A value that is no number is refused in words."""
    _, unit = GUESSES[number]
    if value is None:
        if number in read_passport().guesses:
            change_passport(lambda passport: passport.guesses.pop(number))
        print(f"Skipped ({number}). To guess, put a number in place of None.")
    elif not isinstance(value, int | float) or not math.isfinite(value):
        print(f"Not kept ({number}): {value!r} is no number. Write one, such as 12 or 0.5.")
    else:
        change_passport(lambda passport: passport.guesses.update({number: (float(value), None)}))
        print(f"Kept ({number}): {shown(value, unit)}.")


def reveal(number: str, seen: float) -> None:
    """Set what the run says beside the guess."""
    _, unit = GUESSES[number]
    said, _ = read_passport().guesses.get(number, (None, None))
    if said is None:
        print(f"The run says {shown(seen, unit)} ({number}).")
        return
    change_passport(lambda passport: passport.guesses.update({number: (said, float(seen))}))
    print(f"You said {shown(said)}, the run says {shown(seen, unit)} ({number}): {_beside(said, float(seen))}.")


def your_guesses() -> pd.DataFrame | None:
    """The guesses that were revealed: what was said, what the run said, and the words beside it; None without any."""
    kept = read_passport().guesses
    rows = [
        (number, what, shown(said), shown(seen, unit), _beside(said, seen))
        for number, (what, unit) in GUESSES.items()
        for said, seen in [kept.get(number, (0.0, None))]
        if seen is not None
    ]
    if not rows:
        print("No guess was revealed yet: put a number in place of a None, and run the notebook again.")
        return None
    return pd.DataFrame(rows, columns=["", "what", "you said", "the run said", "so"]).set_index("")


def _beside(said: float, seen: float) -> str:
    """How far a guess is off, in words."""
    if abs(said - seen) <= CLOSE * abs(seen):
        return "well guessed"
    low, high = sorted((said, seen))
    size = f"{high / low:.1f} times" if low > 0 else shown(high - low)
    return f"you were {size} too {'low' if said < seen else 'high'}"
