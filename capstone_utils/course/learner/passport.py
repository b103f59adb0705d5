"""The passport: what a learner has done, in a file of the work directory.

A *stamp* is the id of something done: "1.2" an exercise, "R2.1" a question answered well, "L3" a failure lab.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from capstone_utils.course.learner.drive import keep
from capstone_utils.course.work_directory import PASSPORT
from capstone_utils.files import write_text
from capstone_utils.settings import Settings


@dataclass
class Passport:
    """Stamps, and guesses by number: what the learner said, and what the run said (None until it is revealed)."""

    stamps: set[str] = field(default_factory=set)
    guesses: dict[str, tuple[float, float | None]] = field(default_factory=dict)


def passport_path() -> Path:
    """The passport's file."""
    return Settings.from_environment().work_dir / PASSPORT


def read_passport(path: Path | None = None) -> Passport:
    """The learner's passport, or another one; empty when there is none, or what is there cannot be read."""
    path = path or passport_path()
    if not path.exists():
        return Passport()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        guesses = {number: (float(said), seen) for number, (said, seen) in content["guesses"].items()}
        return Passport(set(content["stamps"]), guesses)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"{path.name} cannot be read ({type(error).__name__}), so an empty one takes its place")
        return Passport()


def stamp(what: str) -> None:
    """Keep that something is done."""
    change_passport(lambda passport: passport.stamps.add(what))


def change_passport(change: Callable[[Passport], object]) -> Passport:
    """The passport after a change, which is kept; where it cannot be written, a line says so."""
    passport = read_passport()
    change(passport)
    content = {"stamps": sorted(passport.stamps), "guesses": passport.guesses}
    try:
        write_text(passport_path(), json.dumps(content, indent=2) + "\n")
        keep(passport_path())
    except OSError as error:  # a directory for reading only: the notebook goes on
        print(f"your progress is not kept: {error.strerror}")
    return passport


def add(other: Passport) -> Passport:
    """The passport with what another one has; where both have a guess, the one here counts."""

    def change(passport: Passport) -> None:
        passport.stamps |= other.stamps
        passport.guesses = other.guesses | passport.guesses

    return change_passport(change)
