"""One failure lab: the single source of its cells in the notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from capstone_utils.course.exercises.exercise import Wrong

HEADINGS = ("Steady state", "Hypothesis", "Break", "Watch", "What happened", "Repair", "Proof", "Lesson")


class Step(NamedTuple):
    """One of the eight steps: its prose in Markdown, and its code where it has some."""

    prose: str
    code: str = ""


class LabCell(NamedTuple):
    """A cell of a notebook: its id, "markdown" or "code", and its source."""

    id: str
    kind: str
    source: str


@dataclass(frozen=True)
class Lab:
    """A failure lab of a notebook, in the eight steps of chaos practice.

    The code of `steady` makes the incident and calls it `lab`. The code of `repair` is the starter: it gives a value to
    a name, and so do `solution` and each wrong repair. The code of `proof` hands that name to `lab.prove`.
    """

    number: int
    notebook: int
    title: str
    steady: Step
    hypothesis: Step
    broken: Step
    watch: Step
    happened: Step
    repair: Step
    proof: Step
    lesson: str
    solution: str
    wrong: tuple[Wrong, ...]

    @property
    def cells(self) -> list[LabCell]:
        """The lab's cells in order, with ids such as `lab-1-watch` (prose) and `lab-1-watch-run` (code)."""
        names = ("steady", "hypothesis", "broken", "watch", "happened", "repair", "proof")
        steps = {name: getattr(self, name) for name in names} | {"lesson": Step(self.lesson)}
        cells = []
        for heading, (name, step) in zip(HEADINGS, steps.items(), strict=True):
            title = f"### Lab {self.number} · {self.title}\n\n" if name == "steady" else ""
            folded = f"\n\n{self._folded_solution}" if name == "repair" else ""
            cell_id = f"lab-{self.number}-{name}"
            cells.append(LabCell(cell_id, "markdown", f"{title}#### {heading}\n\n{step.prose}{folded}"))
            if step.code:
                cells.append(LabCell(f"{cell_id}-run", "code", step.code))
        return cells

    @property
    def _folded_solution(self) -> str:
        code = f"```python\n{self.solution}\n```"
        return f"<details><summary>A repair of lab {self.number}</summary>\n\n{code}\n</details>"
