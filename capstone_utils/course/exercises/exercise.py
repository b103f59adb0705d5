"""One exercise: the single source of its cells in the notebook and of its check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

IMPORT = "from capstone_utils.course.exercises import check"


def about(answer: float, messages: Mapping[float, str], within: float, otherwise: str) -> str:
    """The message of the first value that the answer lies so near to; `otherwise` of none."""
    return next((message for value, message in messages.items() if abs(answer - value) <= within), otherwise)


@dataclass(frozen=True)
class Wrong:
    """A typical wrong answer as code, and words of the sentence that it gets."""

    code: str
    says: str


@dataclass(frozen=True)
class Exercise:
    """An exercise of a notebook.

    `starter`, `solution` and each wrong answer give a value to the same name, which `call` hands to the check with the
    notebook's own data. `check` takes them. It returns "" for a right answer, a sentence for a wrong one, and None for
    a starter that nobody has changed.
    """

    id: str  # "1.2": the second exercise of notebook 1
    objective: str  # "O1.2": the second of the notebook's objectives
    stars: int  # 1: recall, 2: apply, 3: analyse, 4: create
    task: str  # Markdown
    starter: str
    call: str
    solution: str
    praise: str
    hints: tuple[str, ...]
    wrong: tuple[Wrong, ...]
    check: Callable[..., str | None]
    too_slow: str = "It runs for ever, or nearly."

    @property
    def cell_id(self) -> str:
        """The id of the exercise's code cell; "-task" and "-solution" follow it in those of its Markdown cells."""
        return f"exercise-{self.id.replace('.', '-')}"

    @property
    def cells(self) -> dict[str, str]:
        """The source of each of its three cells in the notebook, by cell id."""
        space = "\n\n" if self.starter.startswith(("def ", "import ", "from ")) else "\n"
        code = f"{IMPORT}\n{space}{self.starter}\n{space if 'def ' in self.starter else ''}{self.call}"
        hints = "\n".join(f"{number}. {hint}" for number, hint in enumerate(self.hints, start=1))
        return {
            f"{self.cell_id}-task": f"### Exercise {self.id} {'★' * self.stars}\n\n{self.task}",
            self.cell_id: code,
            f"{self.cell_id}-solution": (
                f"<details><summary>Hints and solution of {self.id}</summary>\n\n{hints}\n\n"
                f"```python\n{self.solution}\n```\n\n{self.praise}\n</details>"
            ),
        }
