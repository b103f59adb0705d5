"""The cells of the failure labs in the notebooks, written from their one source."""

from __future__ import annotations

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from capstone_utils.course.labs.catalogue import LABS
from capstone_utils.course.labs.lab import Lab, LabCell


def write_labs(notebook: NotebookNode) -> list[str]:
    """Bring the notebook's lab cells up to date; the ids of those that changed.

    A cell belongs to a lab by its id, such as `lab-1-watch`. Outputs stay: the next run writes them.
    """
    sources = {cell.id: cell.source for lab in LABS.values() for cell in lab.cells}
    changed = [cell for cell in notebook.cells if sources.get(cell.id, cell.source) != cell.source]
    for cell in changed:
        cell.source = sources[cell.id]
    return [str(cell.id) for cell in changed]


def insert_lab(notebook: NotebookNode, lab: Lab, after: str) -> None:
    """Put the lab's cells behind the cell with the id `after`, in place of those that it has in the notebook.

    Raises:
        ValueError: when no cell has that id.
    """
    mine = f"lab-{lab.number}-"
    notebook.cells = [cell for cell in notebook.cells if not cell.id.startswith(mine)]
    ids = [cell.id for cell in notebook.cells]
    if after not in ids:
        raise ValueError(f"after={after!r} is the id of no cell; there are {', '.join(ids)}")
    place = ids.index(after) + 1
    notebook.cells[place:place] = [_node(cell) for cell in lab.cells]


def _node(cell: LabCell) -> NotebookNode:
    node: NotebookNode
    if cell.kind == "markdown":
        node = new_markdown_cell(cell.source, id=cell.id)
    else:
        node = new_code_cell(cell.source, id=cell.id)
    return node
