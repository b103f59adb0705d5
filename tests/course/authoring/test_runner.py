"""Running notebooks: outputs kept, a failing cell shown, servers gone with the kernel, foreign folders left alone."""

import contextlib
import io
import re
from html import escape

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from capstone_utils.course.authoring.refresh import MachinePath, with_outputs
from capstone_utils.course.authoring.runner import (
    CellFailed,
    alt_texts,
    execute,
    progress_line,
    success_rows,
    write_page,
)
from capstone_utils.course.results import Figure
from capstone_utils.settings import ROOT


def notebook(tmp_path, *sources):
    path = tmp_path / "notebook.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def test_a_notebook_is_kept_with_its_outputs_and_as_a_page(tmp_path):
    path, output = notebook(tmp_path, "six = 6", "print(six * 7)"), tmp_path / "out" / "notebook.ipynb"
    execute(path, output, cwd=tmp_path)
    assert nbformat.read(output, 4).cells[1].outputs[0].text == "42\n"
    assert "42" in write_page(output).read_text()
    assert not nbformat.read(path, 4).cells[1].outputs, "the source is never written over"


def test_a_picture_keeps_its_description_in_the_notebook_and_in_the_page(tmp_path):
    draw = (
        "from capstone_utils.course.figures.style import draw_pipeline\n"
        "one = draw_pipeline('Cards')\ntwo = draw_pipeline('Kafka')"
    )
    path, output = notebook(tmp_path, draw), tmp_path / "out.ipynb"
    execute(path, output, cwd=ROOT)
    texts = alt_texts(nbformat.read(output, 4))
    assert [text.partition("Filled in here: ")[2] for text in texts] == ["Cards.", "Kafka."]
    page = write_page(output).read_text()
    assert all(f'alt="{escape(text)}"' in page for text in texts)
    assert "No description" not in page


@pytest.mark.parametrize("last", ["print('fine')", "1 / 0"])
def test_a_log_has_one_line_a_notebook_with_the_last_cell_that_ran(tmp_path, last):
    log = io.StringIO()
    path = notebook(tmp_path, "six = 6", last)
    with contextlib.suppress(CellFailed), progress_line("1/4 toy", 2, log) as progress:
        execute(path, tmp_path / "out.ipynb", progress, cwd=tmp_path)
    assert re.fullmatch(r"1/4 toy +cell  2 of 2  00:\d\d\n", log.getvalue().rpartition("\r")[2])
    assert log.getvalue().count("\n") == 1


def test_a_failing_cell_is_shown_with_its_source_and_the_notebook_so_far_is_kept(tmp_path):
    path, output = notebook(tmp_path, "print('so far')", "drops = 1 / 0", "print('never')"), tmp_path / "out.ipynb"
    with pytest.raises(CellFailed, match=r"(?s)notebook.ipynb, cell 1, failed:.*drops = 1 / 0.*ZeroDivisionError"):
        execute(path, output, cwd=tmp_path)
    kept = nbformat.read(output, 4)
    assert "so far" in str(kept.cells)
    assert any(out.output_type == "error" for cell in kept.cells for out in cell.get("outputs", []))


def test_the_kernel_and_its_servers_are_gone_afterwards(tmp_path):
    start = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\n"
        "from capstone_utils.process import Child\n"
        "child = Child([sys.executable, '-c', 'import time; time.sleep(600)'], Path('log'))\nprint(child.pid)"
    )
    executed = execute(notebook(tmp_path, start), tmp_path / "out.ipynb", cwd=tmp_path)
    supervisor = int(executed.cells[0].outputs[0].text)
    gone, alive = psutil.wait_procs([psutil.Process(supervisor)] if psutil.pid_exists(supervisor) else [], timeout=20)
    assert not alive, gone


def test_a_metric_that_was_not_measured_is_not_met():
    rows = {row[0]: row for row in success_rows({"f1": Figure(0.95)})}
    assert rows["F1"] == ("F1", "above 0.9", "0.95", "met")
    assert rows["Response time"][2:] == ("not measured", "not met")


def test_outputs_are_stored_only_without_a_path_of_the_machine(tmp_path):
    path = notebook(tmp_path, "print('fine')", "print('also')")
    executed = execute(path, tmp_path / "out.ipynb", cwd=tmp_path)
    stored = with_outputs(path, tmp_path / "out.ipynb")
    assert [cell.outputs[0].text for cell in stored.cells] == ["fine\n", "also\n"]
    assert set(stored.metadata) == {"kernelspec", "language_info"}
    executed.cells[1].outputs[0].text = "wrote /tmp/secret.csv\n"
    nbformat.write(executed, tmp_path / "out.ipynb")
    with pytest.raises(MachinePath, match=r"cell 1 shows /tmp/secret\.csv"):
        with_outputs(path, tmp_path / "out.ipynb")
