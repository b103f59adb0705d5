"""Run the notebooks with papermill, as notebooks and pages; show the figures."""

from __future__ import annotations

import logging
import os
import re
import sys
from html import escape
from pathlib import Path
from typing import TextIO

import nbformat
import papermill
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from capstone_utils.course.results import load, results_path, success_rows
from capstone_utils.course.work_directory import take_over
from capstone_utils.errors import CapstoneError
from capstone_utils.settings import ROOT, Settings

NOTEBOOKS = ROOT / "notebooks"
DEEPER = "CAPSTONE_DEEPER"  # at "1", notebook 3 runs its deeper part
TRACEBACK_LINES = 15
PROGRESS = "{desc:<36} cell {n:>2} of {total}  {elapsed}"
NO_ALT = 'alt="No description has been provided for this image"'  # nbconvert's template knows no other
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class CellFailed(CapstoneError):
    """A cell that raised; the message shows its source and the end of its traceback."""


class _OwnKernel(KernelSpecManager):
    """Kernel specifications of one kernel only, the running interpreter's, whatever Jupyter calls python3 here."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The kernel specification, for any name."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


class _OwnKernelManager(AsyncKernelManager):
    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return _OwnKernel(parent=self)  # type: ignore[no-untyped-call]  # traitlets' constructor


def notebooks(folder: Path = NOTEBOOKS) -> list[Path]:
    """The course's notebooks in their order."""
    return sorted(folder.glob("0?_*.ipynb"))


def execute(notebook: Path, output: Path, progress: tqdm | None = None, cwd: Path = NOTEBOOKS) -> NotebookNode:
    """Execute the notebook in its own kernel, and keep it as `output`.

    The kernel, and with it every server that the notebook started, has ended when this returns or raises.

    Raises:
        CellFailed: at the first cell that raises; `output` then holds the cells up to there, the error included.
    """
    output.parent.mkdir(parents=True, exist_ok=True)

    def count(cell: NotebookNode, cell_index: int) -> None:
        if progress is not None and cell.cell_type == "code":
            progress.update()

    try:
        executed: NotebookNode = papermill.execute_notebook(
            notebook,
            output,
            kernel_name="python3",
            progress_bar=False,
            cwd=cwd,
            kernel_manager_class=_OwnKernelManager,
            on_cell_start=count,
        )
        return executed
    except PapermillExecutionError as error:
        raise CellFailed(_failure(notebook.name, error)) from None


def progress_line(label: str, cells: int, output: TextIO) -> tqdm:
    """A line such as "2/4 model_serving  cell 7 of 31  00:42": it moves on a terminal and ends a log."""
    interval = 0.1 if output.isatty() else float("inf")
    return tqdm(total=cells, desc=label, bar_format=PROGRESS, file=output, mininterval=interval, dynamic_ncols=True)


def write_page(executed: Path) -> Path:
    """Write the HTML page of an executed notebook beside it; nothing is fetched for it."""
    page = executed.with_suffix(".html")
    html, _ = HTMLExporter().from_filename(str(executed))
    for alt in alt_texts(nbformat.read(executed, as_version=4)):
        html = html.replace(NO_ALT, f'alt="{escape(alt)}"', 1)  # in the page's order
    page.write_text(html, encoding="utf-8")
    return page


def alt_texts(notebook: NotebookNode) -> list[str]:
    """The text of each of the notebook's pictures, in their order; nbconvert's own where there is none."""
    outputs = (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    metadata = [output.metadata for output in outputs if "image/png" in output.get("data", {})]
    return [each.get("image/png", {}).get("alt", "A picture without a description.") for each in metadata]


def run_course() -> int:
    """Run every notebook in order on fresh data, deeper parts included unless CAPSTONE_DEEPER says otherwise.

    Returns the exit status: 0, or 1 at the first cell that fails.
    """
    logging.getLogger("papermill").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # after Ctrl-C it would print the interrupted cell's error
    os.environ.setdefault(DEEPER, "1")
    work_dir = Settings.from_environment().work_dir
    take_over(work_dir)
    paths = notebooks()
    for number, path in enumerate(paths, start=1):
        label = f"{number}/{len(paths)} {path.stem[3:]}"
        output = executed_dir(work_dir) / path.name
        with progress_line(label, count_code_cells(path), sys.stdout) as progress:
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
    """The folder of a run's executed notebooks and their pages."""
    return work_dir / "notebooks"


def count_code_cells(path: Path) -> int:
    """The number of code cells in a notebook."""
    return sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)


def summary(executed: Path) -> str:
    """The brief's success metrics in this run, and files to read next."""
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
