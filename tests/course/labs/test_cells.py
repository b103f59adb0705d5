"""Each lab has the eight steps, small cells, and a repair that the starter does not give away."""

import ast
import re

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from capstone_utils.course.authoring.lesson_cells import write_lessons
from capstone_utils.course.labs.catalogue import LABS
from capstone_utils.course.labs.lab import HEADINGS

LONGEST_LINES = 12


@pytest.fixture(params=LABS.values(), ids=lambda lab: f"lab-{lab.number}")
def lab(request):
    return request.param


def test_it_has_the_eight_headings_in_order_and_prose_before_each_code_cell(lab):
    headings = [re.findall(r"^#### (.+)$", cell.source, re.MULTILINE) for cell in lab.cells if cell.kind == "markdown"]
    assert headings == [[heading] for heading in HEADINGS]
    kinds = "".join(cell.kind[0] for cell in lab.cells)
    assert "cc" not in kinds
    assert kinds[0] == "m"


def test_its_code_cells_are_short_and_are_python(lab):
    for cell in lab.cells:
        if cell.kind == "code":
            ast.parse(cell.source)
            assert len(cell.source.splitlines()) <= LONGEST_LINES


def test_its_repair_has_a_name_that_the_proof_hands_over(lab):
    name = re.search(r"^(\w+) = None", lab.repair.code, re.MULTILINE)[1]
    assert lab.proof.code == f"lab.prove({name})"
    for code in (lab.solution, *(wrong.code for wrong in lab.wrong)):
        assert re.search(rf"^(def )?{name}\b", code, re.MULTILINE), code


def test_it_has_three_wrong_repairs_with_words_of_their_own(lab):
    assert len({wrong.code for wrong in lab.wrong}) == len(lab.wrong) >= 3
    assert all(wrong.says for wrong in lab.wrong)


def test_a_notebook_gets_the_cells_of_a_lab_and_keeps_the_others(lab):
    cells = [new_markdown_cell("mine", id="mine"), *(new_markdown_cell("old", id=cell.id) for cell in lab.cells)]
    notebook = new_notebook(cells=cells)
    assert write_lessons(notebook) == [cell.id for cell in lab.cells]
    assert [cell.source for cell in notebook.cells] == ["mine", *(cell.source for cell in lab.cells)]
    assert write_lessons(notebook) == []
