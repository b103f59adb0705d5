"""The cells of exercises, questions and labs in the notebooks, written from their one source."""

from __future__ import annotations

from nbformat import NotebookNode

from capstone_utils.course.exercises.checking import EXERCISES
from capstone_utils.course.exercises.exercise import Exercise
from capstone_utils.course.labs.catalogue import LABS
from capstone_utils.course.learner.recall import QUIZZES, Quiz


def write_lessons(notebook: NotebookNode) -> list[str]:
    """Bring the notebook's cells of exercises, questions and labs up to date; the ids of those that changed.

    A cell belongs to one of them by its id, such as `exercise-1-2-task` or `lab-1-watch`. Outputs stay: the next run
    writes them.
    """
    owners: list[Exercise | Quiz] = [*EXERCISES.values(), *QUIZZES.values()]
    sources = {name: source for owner in owners for name, source in owner.cells.items()}
    sources |= {cell.id: cell.source for lab in LABS.values() for cell in lab.cells}
    changed = [cell for cell in notebook.cells if sources.get(cell.id, cell.source) != cell.source]
    for cell in changed:
        cell.source = sources[cell.id]
    return [str(cell.id) for cell in changed]
