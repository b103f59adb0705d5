"""Refresh the committed notebooks: write their exercises and labs, run them, and store their outputs."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from capstone_utils.course.authoring.lesson_cells import write_lessons
from capstone_utils.course.authoring.runner import executed_dir, notebooks, run_course
from capstone_utils.errors import CapstoneError
from capstone_utils.files import write_text
from capstone_utils.settings import ROOT, Settings

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
ANY_PATH = re.compile(r"/(?:root|home|work|tmp|Users)/\S*")


class MachinePath(CapstoneError):
    """An output that shows a path of this machine; the message says in which cell."""


def refresh_notebooks() -> int:
    """Write the exercises' and labs' cells, run the course, and store its outputs in notebooks/.

    Returns the exit status: 0, or 1 when a cell failed.

    Raises:
        MachinePath: when an output shows a path of this machine; nothing is stored then.
    """
    for path in notebooks():
        notebook = nbformat.read(path, as_version=4)
        if write_lessons(notebook):
            write_text(path, nbformat.writes(notebook) + "\n")
    if run_course() != 0:
        return 1
    executed = executed_dir(Settings.from_environment().work_dir)
    stored = {path: with_outputs(path, executed / path.name) for path in notebooks()}
    for path, notebook in stored.items():
        write_text(path, nbformat.writes(notebook) + "\n")
        print(f"stored the outputs of {path.relative_to(ROOT)}")
    return 0


def with_outputs(path: Path, executed: Path) -> NotebookNode:
    """The notebook at `path` with the outputs of its executed copy.

    Raises:
        MachinePath: naming the cell.
    """
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    executed_copy = nbformat.read(executed, as_version=4)
    for number, (cell, executed_cell) in enumerate(zip(notebook.cells, executed_copy.cells, strict=True)):
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = executed_cell.outputs, executed_cell.execution_count
        if match := ANY_PATH.search(str([output.get("text") or output.get("data") for output in cell.outputs])):
            raise MachinePath(f"{path.name}, cell {number} shows {match[0]}, which is of this machine only")
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return notebook
