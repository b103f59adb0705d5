"""Runs the notebooks with papermill, keeps each as a notebook and as a page, and shows what the run measured."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import nbformat
import papermill
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from capstone_utils.course.authoring.progress import ProgressLine
from capstone_utils.course.results import load, results_path, success_rows
from capstone_utils.course.work_directory import take_over
from capstone_utils.settings import ROOT, Settings

NOTEBOOKS = ROOT / "notebooks"
TRACEBACK_LINES = 15
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellFailed(Exception):
    """A cell that raised; the message shows its source and the end of its traceback."""


class _OwnKernel(KernelSpecManager):
    """Knows one kernel, the running interpreter's, whatever else the machine's Jupyter calls python3."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel specification, for any name."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class _OwnKernelManager(AsyncKernelManager):
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return _OwnKernel(parent=self)


def notebooks(folder: Path = NOTEBOOKS) -> list[Path]:
    """The course's notebooks in their order."""
    return sorted(folder.glob("0?_*.ipynb"))


def execute(notebook: Path, output: Path, progress: ProgressLine | None = None, cwd: Path = NOTEBOOKS) -> NotebookNode:
    """The notebook, executed by papermill from first cell to last in a kernel of its own, also kept as `output`.

    The kernel, and with it every server that the notebook started, has ended when this returns or raises.

    Raises:
        CellFailed: at the first cell that raises; `output` then holds what there is, the error included.
    """
    output.parent.mkdir(parents=True, exist_ok=True)

    def count(cell: NotebookNode, cell_index: int) -> None:
        if progress and cell.cell_type == "code":
            progress.cell += 1

    try:
        return papermill.execute_notebook(
            notebook,
            output,
            kernel_name="python3",
            progress_bar=False,
            cwd=cwd,
            kernel_manager_class=_OwnKernelManager,
            on_cell_start=count,
        )
    except PapermillExecutionError as error:
        raise CellFailed(_failure(notebook.name, error)) from None


def write_page(executed: Path) -> Path:
    """The HTML page written beside an executed notebook; nothing is fetched for it."""
    page = executed.with_suffix(".html")
    html, _ = HTMLExporter().from_filename(str(executed))
    page.write_text(html, encoding="utf-8")
    return page


def run_course() -> int:
    """Run every notebook in order on fresh data; the exit status: 0, or 1 at the first cell that fails."""
    logging.getLogger("papermill").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # after Ctrl-C it would print the interrupted cell's error
    work_dir = Settings.from_environment().work_dir
    take_over(work_dir)
    paths = notebooks()
    for number, path in enumerate(paths, start=1):
        label = f"{number}/{len(paths)} {path.stem[3:]}"
        output = executed_dir(work_dir) / path.name
        with ProgressLine(label, count_code_cells(path), sys.stdout) as progress:
            try:
                execute(path, output, progress)
                failure = None
            except CellFailed as error:
                failure = error
        page = write_page(output)
        if failure:
            print(f"\n{failure}\n\nThe notebook up to there: {page}")
            return 1
    print(summary(executed_dir(work_dir)))
    return 0


def executed_dir(work_dir: Path) -> Path:
    """Where a run leaves the executed notebooks and their pages."""
    return work_dir / "notebooks"


def count_code_cells(path: Path) -> int:
    """How many code cells a notebook has."""
    return sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)


def summary(executed: Path) -> str:
    """The brief's success metrics as this run measured them, and where to look next."""
    rows = [("success metric", "goal", "this run", ""), *success_rows(load(results_path()))]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    pages = "\n".join(f"  {page}" for page in sorted(executed.glob("*.html")))
    return (
        "\n" + "\n".join(lines) + f"\n\nRead the notebooks with their results in a browser:\n{pages}\n"
        f"All figures of this run: {results_path()}\n"
        "What they mean, beside those of the published run: retrospective_report.md"
    )


def _failure(name: str, error: PapermillExecutionError) -> str:
    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    trace = ANSI.sub("", "\n".join(error.traceback)).splitlines()[-TRACEBACK_LINES:]
    return f"{name}, cell {error.cell_index}, failed:\n\n{source}\n\n" + "\n".join(trace)
