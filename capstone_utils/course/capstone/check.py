"""The check of a project, step by step, and its report against the rubric."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from capstone_utils.course.capstone.correctness import no_future, parity
from capstone_utils.course.capstone.live import speed, watch
from capstone_utils.course.capstone.project import InvalidProject, Project, read_project
from capstone_utils.course.capstone.promotion import promotion
from capstone_utils.course.capstone.step import Step
from capstone_utils.course.capstone.value import value
from capstone_utils.course.capstone.worlds import FULL, Scale, world
from capstone_utils.course.learner.drive import keep
from capstone_utils.files import write_text

WORDS = range(100, 201)
LONGEST_FUNCTION = 25  # lines
ALWAYS_GO_ON = ("say", "watch", "code")  # a fault there costs points, and stops nothing
RUBRIC = {  # step or question: points, who gives them
    "problem and hypothesis": (10, "peer"),
    "correctness: parity and no future": (25, "machine"),
    "evidence": (20, "machine 15, peer 5"),
    "honesty": (10, "peer"),
    "cost": (10, "machine"),
    "gate and roll-out": (10, "machine 5, peer 5"),
    "monitoring": (10, "machine"),
    "code": (5, "machine"),
}
ROW = {
    "parity": "correctness: parity and no future",
    "value": "evidence",
    "speed": "cost",
    "gate": "gate and roll-out",
    "watch": "monitoring",
    "code": "code",
}


@dataclass(frozen=True)
class Report:
    """The steps that were taken; the check stops at the first one that refuses the feature."""

    project: Project
    steps: list[Step]

    @property
    def path(self) -> Path:
        """The file that the report is written to, beside the project's."""
        return self.project.path.with_name("report.md")

    @property
    def refused_at(self) -> str:
        """The name of the step that refused the feature; empty when none did."""
        return next((step.name for step in self.steps if not step.passed and step.name not in ALWAYS_GO_ON), "")

    def markdown(self) -> str:
        """The report: what was said, what was found, and the rubric with the points that a machine can give."""
        points = {ROW[step.name]: step.points for step in self.steps if step.name in ROW}
        lines = [f"# {self.project.name}", "", self.project.words.strip(), "", "## What the check found", ""]
        for step in self.steps:
            lines += [f"**{step.name}**: {'' if step.passed else 'not yet. '}{step.words}", ""]
            lines += [step.detail, ""] if step.detail else []
        lines += ["## Rubric", "", "| | of | by the machine | given by |", "|---|---|---|---|"]
        for row, (most, who) in RUBRIC.items():
            lines.append(f"| {row} | {most} | {points.get(row, 0) if 'machine' in who else ''} | {who} |")
        lines.append(f"| **all** | 100 | {sum(points.values())} | |")
        return "\n".join(lines) + "\n"


def check_project(path: Path | str, scale: Scale = FULL) -> Report:
    """Check a project, print each step as it is done, and write report.md beside the project's file.

    Raises:
        InvalidProject: when the file is no project.
    """
    project, steps = read_project(Path(path)), []
    for step in _steps(project, scale):
        print(f"{'ok ' if step.passed else 'NO '} {step.name:10} {step.words}", flush=True)
        steps.append(step)
    report = Report(project, steps)
    keep(project.path)
    write_text(report.path, report.markdown())
    return report


def _steps(project: Project, scale: Scale) -> Iterator[Step]:
    """The steps in their order, up to the one that refuses the feature."""
    yield _said(project)
    yield _code(project)
    here = world(scale, scale.seeds[0], project.thief)
    transactions = here.transactions
    for look in (no_future, parity):
        step = _tried(look, project, transactions)
        yield step
        if not step.passed:
            return
    gained = value(project, scale)
    yield gained.step
    if not gained.step.passed:
        return
    step = speed(project, here, gained.judged[0]["with"])
    yield step
    if not step.passed:
        return
    yield promotion(project, here)
    yield watch(project, here, gained.judged[0]["with"])


def _tried(look: Callable[[Project, pd.DataFrame], Step], project: Project, transactions: pd.DataFrame) -> Step:
    """A step on the project's own code; an error of that code refuses it, in words."""
    try:
        return look(project, transactions)
    except InvalidProject as error:
        return Step(look.__name__.replace("_", " "), False, str(error))


def _said(project: Project) -> Step:
    """The words: what is tried, why a thief cannot avoid it, what it costs."""
    count = len(project.words.split())
    words = f"{count} words" + ("" if count in WORDS else f"; {WORDS[0]} to {WORDS[-1]} are right")
    return Step("say", count in WORDS, words)


def _code(project: Project) -> Step:
    """The code: small functions with docstrings, and a doctest that passes."""
    nodes = ast.walk(ast.parse(project.path.read_text()))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    long = [each.name for each in functions if (each.end_lineno or 0) - each.lineno >= LONGEST_FUNCTION]
    silent = [each.name for each in functions if not ast.get_docstring(each) and not each.name.startswith("__")]
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder().find(project.module, project.module.__name__):
        runner.run(test, out=lambda _: None)
    faults = [f"{name} is longer than {LONGEST_FUNCTION} lines" for name in long]
    faults += [f"{name} has no docstring" for name in silent]
    faults += [] if runner.tries else ["there is no doctest"]
    faults += [f"{runner.failures} lines of its doctests fail"] if runner.failures else []
    words = "; ".join(faults) or f"{len(functions)} small functions, {runner.tries} lines of doctests pass"
    return Step("code", not faults, words, points=5 if not faults else 2)
