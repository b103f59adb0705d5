"""The committed notebooks: their shape, and that what they show came from a whole run."""

import re
from pathlib import Path

import nbformat
import pytest

from capstone_utils.course.authoring.refresh import ANY_PATH
from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.milestones import MILESTONES
from capstone_utils.settings import ROOT

CHECKED = "nbval-check-output"
LONGEST_CELL = 16


@pytest.fixture(params=notebooks(), ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


@pytest.fixture
def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.fixture
def prose(cells):
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_the_four_notebooks_are_there_in_their_order():
    assert [path.stem[3:] for path in notebooks()] == list(MILESTONES)


def test_each_opens_with_goals_set_up_analogy_and_map_and_ends_with_what_was_learned(code, prose):
    assert "colab.research.google.com" in prose
    first, last = prose.index("## What you will be able to do"), prose.index("## What you learned")
    assert first < prose.index("| component | how it runs here |") < prose.index("**The analogy.**") < last
    assert "draw_pipeline" in code[1].source
    assert "**Next:**" in prose[last:]
    assert any(cell.source.endswith("milestones.table()") for cell in code[-4:])


def test_it_was_run_from_top_to_bottom_without_an_error(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


def test_its_milestones_were_met_when_it_was_committed(code):
    table = next(cell for cell in code if cell.source.endswith("milestones.table()"))
    assert "unmet" not in table.outputs[-1].data["text/plain"]


def test_at_least_a_third_of_its_code_cells_are_compared(code):
    code = [cell for cell in code if not cell.id.startswith("lab-")]  # tests/course/labs holds those
    checked = [cell for cell in code if CHECKED in cell.metadata.get("tags", [])]
    assert 3 * len(checked) >= len(code)
    assert all(cell.outputs for cell in checked), "a checked cell without an output checks nothing"


def test_it_shows_pictures_and_no_path_of_a_machine(code):
    outputs = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    assert not [text for text in texts if ANY_PATH.search(text)]


def test_its_cells_are_small_and_its_outputs_short(code):
    assert max(cell.source.count("\n") + 1 for cell in code[1:]) <= LONGEST_CELL  # the set-up is a form
    texts = [output.get("text", "") for cell in code for output in cell.outputs]
    assert max(text.count("\n") for text in texts) <= 30


def test_the_page_of_the_brief_names_sections_that_exist():
    page = (ROOT / "docs" / "brief.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| ([^|]*notebook \d[^|]*) \|$", page, re.MULTILINE)
    assert len(rows) >= 14
    for row in rows:
        for number, quoted in re.findall(r'notebook (\d), ((?:"[^"]+"(?: (?:to|and) )?)+)', row):
            source = nbformat.read(notebooks()[int(number) - 1], as_version=4)
            headings = re.findall(r"^#+ (.+)$", "\n".join(cell.source for cell in source.cells), re.MULTILINE)
            for name in re.findall(r'"([^"]+)"', quoted):
                assert name in headings, f"notebook {number} has no section {name!r}"
