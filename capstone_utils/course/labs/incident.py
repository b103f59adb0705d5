"""An incident on purpose: a part of the system that can be broken, watched, and proven to be mended."""

from __future__ import annotations

from abc import ABC, abstractmethod

from capstone_utils.course.exercises.deadline import TimeIsUp, run_within
from capstone_utils.errors import CapstoneError

PROOF_SECONDS = 35.0


class LabError(CapstoneError):
    """A lab that cannot run here; the message says what to do."""


class Incident(ABC):
    """The parts of one failure lab, real ones; a lab's cells call it `lab`.

    Each method prints what it measured. `prove` leaves the steady state and nothing running, whatever the repair was.
    """

    number: int
    praise: str

    @abstractmethod
    def steady(self) -> None:
        """Print the number that says that all is well."""

    @abstractmethod
    def break_it(self) -> None:
        """Break the part."""

    @abstractmethod
    def watch(self) -> None:
        """Print the numbers that changed."""

    @abstractmethod
    def story(self, expected: float | None = None) -> None:
        """Print what happened, beside what the learner expected."""

    @abstractmethod
    def outcome(self, repair: object) -> str:
        """Run with the learner's repair: "" when the steady state is back, else a sentence."""

    @abstractmethod
    def end(self) -> str:
        """Put the steady state back where it is not, and let go of everything; the number that shows it."""

    def prove(self, repair: object) -> None:
        """Print whether the repair brings the steady state back. It never raises.

        Without a repair, or with one that does not hold, the lab itself puts the steady state back.
        """
        try:
            if repair is None:
                print(f"Your turn (lab {self.number}). Write the repair, and run the lab's cells again from its top.")
            elif message := self.tried(repair):
                print(f"Not yet (lab {self.number}). {message}")
            else:
                print(f"Right (lab {self.number}). {self.praise}")
        finally:
            print(f"Steady state at the end: {self.end()}")

    def tried(self, repair: object) -> str:
        """The outcome of a repair, in time and without an exception, whatever the learner's code does."""
        try:
            return run_within(PROOF_SECONDS, lambda: self.outcome(repair))
        except TimeIsUp:
            return f"Your repair still ran after {PROOF_SECONDS:.0f} seconds."
        except Exception as error:  # of the learner's code, whatever it is: a repair must not break the notebook
            text = f": {error}" if str(error) else ""
            return f"With your repair the system raised {type(error).__name__}{text}"


def beside(expected: float | None, measured: float, unit: str) -> str:
    """The end of a sentence: a learner's guess beside what was measured."""
    if expected is None:
        return ""
    return f" You expected {expected:,g} {unit}; it was {measured:,g}."
