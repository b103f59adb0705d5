"""The cells of the exercises in the notebooks, written from their one source."""

from __future__ import annotations

from nbformat import NotebookNode

from capstone_utils.course.exercises.checking import EXERCISES


def write_exercises(notebook: NotebookNode) -> list[str]:
    """Bring the notebook's exercise cells up to date; the ids of those that changed.

    A cell belongs to an exercise by its id, such as `exercise-1-2-task`. Outputs stay: the next run writes them.
    """
    sources = {name: source for exercise in EXERCISES.values() for name, source in exercise.cells.items()}
    changed = [cell for cell in notebook.cells if sources.get(cell.id, cell.source) != cell.source]
    for cell in changed:
        cell.source = sources[cell.id]
    return [str(cell.id) for cell in changed]
