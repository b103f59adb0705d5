"""Every rule rung once: its cause is injected into a house on paper, and a real Prometheus says after how many seconds.

The rules are those of production, so many times as fast. Causes that do not disturb each other are injected at once;
each ends as soon as its rules have fired.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.alert_causes import ROUNDS, Cause
from benchmarks.kept import keep
from benchmarks.toy_house import ToyHouse
from capstone_utils.course.results import Figure
from capstone_utils.files import write_text
from capstone_utils.monitoring.prometheus.rules import ALERTS, OBJECTIVES, faster
from capstone_utils.monitoring.prometheus.server import Prometheus, start_prometheus
from capstone_utils.settings import ROOT, Settings

PAGE = ROOT / "docs" / "alerts.md"
SPEEDS = {ALERTS: (30, "500ms"), OBJECTIVES: (240, "400ms")}  # by rule file: how many times as fast, and the scrapes
WARM_UP_SECONDS, PATIENCE_SECONDS, LOOK_SECONDS = 25.0, 400.0, 0.1
HEAD = """# Every alert has rung

Written by `.venv/bin/python -m benchmarks.alerts --keep`. Each cause was injected into the real metrics of service,
worker and feedback process, which a real Prometheus scraped. The rules are those of production, so many times as fast
as the last column says. Seconds to *pending* and *firing* count from the injection, those to *resolved* from the end of
the cause, which came when its rules had fired. A dash: the rule has no `for:`. Watchdog always rings, and is left out.

| rule | cause injected | pending, s | firing, s | resolved, s | times as fast |
|---|---|---|---|---|---|
"""


@dataclass
class Bell:
    """What was seen of one rule: the seconds to each state."""

    began: float
    ended: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)

    def look(self, state: str, now: float) -> None:
        """Note the rule's state at a moment."""
        if state in ("pending", "firing") and state not in self.seen:
            self.seen[state] = now - self.began
        if state == "inactive" and self.ended and "resolved" not in self.seen:
            self.seen["resolved"] = now - self.ended


class Ringing:
    """A house and the Prometheus of each rule file; `bells` by rule, `others` are rules that fired unasked."""

    def __init__(self, house: ToyHouse, servers: Sequence[Prometheus]) -> None:
        self._house, self._servers = house, servers
        self.bells: dict[str, Bell] = {}
        self.others: set[str] = set()

    def ring(self, causes: Sequence[Cause]) -> None:
        """Inject the causes at once; return when all of their rules have fired and are quiet again.

        Raises:
            TimeoutError: naming the rules that did not.
        """
        waiting = []
        for cause in causes:
            self.bells |= {rule: Bell(time.monotonic()) for rule in cause.rules}
            stack = ExitStack()
            stack.enter_context(cause.inject(self._house))
            waiting.append((cause, stack))
        mine = {rule: self.bells[rule] for cause in causes for rule in cause.rules}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while unfinished := {rule: bell.seen for rule, bell in mine.items() if "resolved" not in bell.seen}:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not fired, or not resolved: {unfinished}")
            self._look(mine)
            for cause, stack in [
                each for each in waiting if all("firing" in mine[rule].seen for rule in each[0].rules)
            ]:
                stack.close()
                waiting = [each for each in waiting if each[0] is not cause]
                for rule in cause.rules:
                    mine[rule].ended = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def _look(self, expected: Mapping[str, Bell]) -> None:
        for server in self._servers:
            for alert in server.alerts():
                if alert.name in expected:
                    expected[alert.name].look(alert.state, time.monotonic())
                elif alert.state == "firing" and alert.name not in self.bells:
                    self.others.add(alert.name)


def measure(settings: Settings) -> dict[str, Figure]:
    """The seconds of every rule, as `RULE_STATE`, and its speed-up."""
    with ExitStack() as parts:
        house = parts.enter_context(ToyHouse(settings.work_dir / "gate"))
        servers = []
        for file, (factor, scrapes) in SPEEDS.items():
            own = replace(settings, work_dir=settings.work_dir / file.stem)
            rules = faster(file, factor, own.work_dir / file.name)
            servers.append(parts.enter_context(start_prometheus(own, house.targets, scrapes, [rules])))
        time.sleep(WARM_UP_SECONDS)  # until the windows hold calm traffic
        ringing = Ringing(house, servers)
        for number, causes in enumerate(ROUNDS, 1):
            began = time.monotonic()
            ringing.ring(causes)
            print(f"round {number}: {sum(len(each.rules) for each in causes)} rules, {time.monotonic() - began:.0f} s")
        factors = {
            alert.name: SPEEDS[file][0]
            for file, server in zip(SPEEDS, servers, strict=True)
            for alert in server.alerts()
        }
    if unrung := factors.keys() - ringing.bells.keys():
        raise ValueError(f"no cause for {', '.join(sorted(unrung))}")
    if ringing.others:
        print(f"fired unasked: {', '.join(sorted(ringing.others))}")
    figures = {}
    for rule in factors:
        for state, seconds in ringing.bells[rule].seen.items():
            figures[f"{rule}_{state}"] = Figure(round(seconds, 1), "s")
        figures[f"{rule}_speed_up"] = Figure(factors[rule])
    return figures


def page(figures: Mapping[str, Figure]) -> str:
    """docs/alerts.md, from a run's figures."""
    words = {rule: cause.words for causes in ROUNDS for cause in causes for rule in cause.rules}

    def cell(rule: str, state: str) -> str:
        figure = figures.get(f"{rule}_{state}")
        return f"{figure.value:g}" if figure else "-"

    rules = [name.removesuffix("_speed_up") for name in figures if name.endswith("_speed_up")]
    columns = ("pending", "firing", "resolved", "speed_up")
    rows = [f"[{rule}](runbook.md#{rule.lower()}) | {words[rule]}" for rule in rules]
    return HEAD + "".join(
        f"| {row} | {' | '.join(cell(rule, each) for each in columns)} |\n"
        for rule, row in zip(rules, rows, strict=True)
    )


def main() -> None:
    """Ring every rule and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help="write docs/alerts.json and docs/alerts.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(replace(Settings.from_environment(), prometheus_port=0, work_dir=Path(folder)))
    print(page(figures))
    if options.keep:
        keep("alerts", figures)
        write_text(PAGE, page(figures))
    if options.json:
        print(json.dumps({name: figure.value for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
