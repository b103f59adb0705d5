"""The cells of the exercises and of the questions in the notebooks, written from their one source."""

from __future__ import annotations

from nbformat import NotebookNode

from capstone_utils.course.exercises.checking import EXERCISES
from capstone_utils.course.exercises.exercise import Exercise
from capstone_utils.course.learner.recall import QUIZZES, Quiz


def write_exercises(notebook: NotebookNode) -> list[str]:
    """Bring the notebook's cells of exercises and questions up to date; the ids of those that changed.

    A cell belongs to an exercise by its id, such as `exercise-1-2-task`. Outputs stay: the next run writes them.
    """
    owners: list[Exercise | Quiz] = [*EXERCISES.values(), *QUIZZES.values()]
    sources = {name: source for owner in owners for name, source in owner.cells.items()}
    changed = [cell for cell in notebook.cells if sources.get(cell.id, cell.source) != cell.source]
    for cell in changed:
        cell.source = sources[cell.id]
    return [str(cell.id) for cell in changed]
