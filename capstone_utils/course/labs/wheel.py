"""The wheel of misfortune: one of the labs is broken, and the learner says which."""

from __future__ import annotations

import contextlib
import io
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from capstone_utils.course.labs.catalogue import LABS
from capstone_utils.course.labs.features.fast_clock import FastClock
from capstone_utils.course.labs.incident import Incident
from capstone_utils.course.labs.ingestion.broker_killed import BrokerKilled
from capstone_utils.course.labs.ingestion.hot_key import HotKey
from capstone_utils.course.labs.ingestion.poison_message import PoisonMessage
from capstone_utils.course.labs.monitoring.skew import Skew
from capstone_utils.course.labs.monitoring.slow_model import SlowModel
from capstone_utils.course.labs.serving.crash_between_steps import CrashBetweenSteps
from capstone_utils.course.labs.serving.leak import Leak
from capstone_utils.course.labs.serving.stale_tables import StaleTables
from capstone_utils.course.materials import course_stream, ensure_enriched, ensure_models
from capstone_utils.features.daily_tables import read_daily
from capstone_utils.ingestion.broker.broker import Broker, start_broker
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.settings import Settings

ON_THE_BROKER: dict[int, Callable[[Broker, Simulation], Incident]] = {
    1: BrokerKilled,
    2: PoisonMessage,
    3: FastClock,
    4: HotKey,
    7: CrashBetweenSteps,
}
NUMBERS = (*ON_THE_BROKER, 5, 6, 8, 9)
GUESSES, MINUTES = 3, 8


class Wheel:
    """One lab, chosen at random and broken, until it is named or the guesses are used up. Use it in a `with` block."""

    def __init__(self, settings: Settings, choose: Callable[[Sequence[int]], int] = random.choice) -> None:
        self._settings = settings
        self._lab = LABS[choose(sorted(NUMBERS))]
        self._parts = ExitStack()
        self._wrong = 0
        self._began = time.monotonic()
        self.over = False

    def spin(self) -> None:
        """Break it, and print the numbers of before and of now."""
        incident = self._open()
        print("All was well:")
        incident.steady()
        with contextlib.redirect_stdout(io.StringIO()):  # it would say what it breaks
            incident.break_it()
        print("\nNow:")
        incident.watch()
        print(f"\nYou have {MINUTES} minutes and {GUESSES} guesses. What is broken?")
        for number in sorted(NUMBERS):
            print(f"  {number}  {LABS[number].title}")
        self._began = time.monotonic()

    def diagnose(self, cause: str) -> None:
        """Print whether `cause`, a number or a title of the list, is what was broken; the last guess ends it."""
        if self.over:
            print("It is over: spin again.")
            return
        if cause.strip().casefold() not in (str(self._lab.number), self._lab.title.casefold()):
            self._wrong += 1
            print(f"No. {GUESSES - self._wrong} guesses left." if self._wrong < GUESSES else "No.")
            if self._wrong < GUESSES:
                return
        late = time.monotonic() - self._began > 60 * MINUTES
        points = max(GUESSES - self._wrong - late, 0)
        print(f"It was lab {self._lab.number}: {self._lab.title}. {points} of {GUESSES} points.")
        print(f"{self._lab.lesson}\nIts repair: lab {self._lab.number} of notebook {self._lab.notebook}.")
        self.close()

    def close(self) -> None:
        """Put the steady state back, and stop what was started."""
        self.over = True
        self._parts.close()

    def _open(self) -> Incident:
        number, settings, stream = self._lab.number, self._settings, course_stream()
        incident: Incident
        if number in ON_THE_BROKER:
            broker = self._parts.enter_context(start_broker(settings))
            incident = ON_THE_BROKER[number](broker, stream)
        elif number == 5:
            incident = Leak(stream, ensure_enriched(settings, stream))
        else:
            enriched = ensure_enriched(settings, stream)
            models, daily = ensure_models(settings, enriched), read_daily(settings.daily_tables)
            if number == 8:
                incident = StaleTables(settings, stream, enriched, models)
            else:
                incident = (SlowModel if number == 6 else Skew)(settings, stream, models, daily)
        self._parts.callback(_quietly, incident.end)
        return incident

    def __enter__(self) -> Wheel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _quietly(end: Callable[[], object]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        end()
