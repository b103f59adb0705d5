"""What makes the notebooks a course: small cells, short sentences, exercises, described pictures, links that lead."""

import ast
import builtins
import re
from itertools import pairwise
from pathlib import Path
from statistics import median

import nbformat
import pytest

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.exercises.checking import EXERCISES
from capstone_utils.course.labs.catalogue import LABS
from capstone_utils.course.learner.guesses import GUESSES
from capstone_utils.course.learner.recall import QUIZZES
from capstone_utils.settings import ROOT
from tests.notebooks.test_glossary import entries, place_of

PLUMBING = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["plumbing"]}
SITE = "https://github.com/OWNER/streaming-fraud-detection/blob/main/"
COLAB = SITE.replace("github.com", "colab.research.google.com/github")

MEDIAN_LINES, LONGEST_LINES = 5, 12
CODE_CELLS_IN_A_ROW = 2
PARAGRAPH_WORDS, SENTENCE_WORDS = 80, 32
LEAST_EXERCISES, LEAST_GUESSES, LEAST_LABS = 6, 4, 10
LEAST_GUESSES_IN_ALL = 24
NEW_WORDS = 25  # a part
ALT_WORDS = range(8, 41)
LARGEST_MB = 1.0
WORDS_A_MINUTE, CODE_LINES_A_MINUTE = 120, 10  # of a reader who thinks; a picture takes a minute
STUDY_MINUTES = 45  # a sitting
STOPS = {
    "stop-here": "second",
    "deeper-says": "deeper",
    "cell-55": "second",
}  # of notebooks 3 and 4: where a part begins


@pytest.fixture(params=notebooks(), ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def cells(path):
    return nbformat.read(path, as_version=4).cells


@pytest.fixture
def visible(cells):
    return [cell for cell in cells if not (cell.cell_type == "code" and is_plumbing(cell))]


def is_plumbing(cell) -> bool:
    return "plumbing" in cell.metadata.get("tags", [])


def lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def paragraphs(cells) -> list[str]:
    """The prose without code, tables and headings; each item of a list is one."""
    found = []
    for cell in cells:
        if cell.cell_type != "markdown":
            continue
        text = re.sub(r"```.*?```|</?\w+>", "", cell.source, flags=re.DOTALL)
        blocks = [block for block in re.split(r"\n\s*\n", text) if not block.lstrip().startswith(("|", "#", "[!"))]
        found += [item for block in blocks for item in re.split(r"\n(?=\s*(?:-|\d+\.) )", block)]
    return found


def test_its_code_cells_are_small(visible):
    sizes = [lines(cell) for cell in visible if cell.cell_type == "code"]
    assert median(sizes) <= MEDIAN_LINES
    assert max(sizes) <= LONGEST_LINES


def test_words_stand_between_its_code_cells(visible):
    runs = re.findall("c+", "".join(cell.cell_type[0] for cell in visible))
    assert max(map(len, runs)) <= CODE_CELLS_IN_A_ROW


def test_its_paragraphs_and_sentences_are_short(visible):
    prose = paragraphs(visible)
    assert not [text for text in prose if len(text.split()) > PARAGRAPH_WORDS]
    sentences = [sentence for text in prose for sentence in re.split(r"(?<=[.!?])[*)\"]*\s+", text)]
    assert not [sentence for sentence in sentences if len(sentence.split()) > SENTENCE_WORDS]


def test_its_plumbing_is_hidden_in_colab_and_in_jupyter(cells):
    for cell in cells:
        keeps_books = "record(" in cell.source or "Milestones(" in cell.source
        if cell.cell_type == "code" and (keeps_books or is_plumbing(cell)):
            assert cell.metadata == PLUMBING
            assert cell.source.startswith("# @title ")


def test_its_exercises_are_those_of_their_source_in_order(path, cells):
    mine = [each for each in EXERCISES.values() if each.id.startswith(f"{path.stem[1]}.")]
    assert len(mine) >= LEAST_EXERCISES
    expected = {name: source for each in mine for name, source in each.cells.items()}
    assert {cell.id: cell.source for cell in cells if cell.id.startswith("exercise-")} == expected
    places = [next(place for place, cell in enumerate(cells) if cell.id == each.cell_id) for each in mine]
    assert places == sorted(places), "learners meet them by number"


def test_its_labs_are_those_of_their_source_in_order(path, cells):
    mine = [lab for lab in LABS.values() if lab.notebook == int(path.stem[1])]
    assert mine
    expected = [(cell.id, cell.source) for lab in mine for cell in lab.cells]
    assert [(cell.id, cell.source) for cell in cells if cell.id.startswith("lab-")] == expected


def test_each_objective_has_an_exercise_and_each_exercise_one_objective(path, cells):
    goals = cells[2].source
    numbered = re.split(r"^(\d)\. ", goals.partition("| component |")[0], flags=re.MULTILINE)[1:]
    goals_by_number = zip(numbered[::2], numbered[1::2], strict=True)
    named = {f"O{path.stem[1]}.{number}": re.findall(r"\b\d\.\d+\b", text) for number, text in goals_by_number}
    mine = [each for each in EXERCISES.values() if each.id.startswith(f"{path.stem[1]}.")]
    expected: dict[str, list[str]] = {}
    for exercise in mine:
        expected.setdefault(exercise.objective, []).append(exercise.id)
    assert named == dict(sorted(expected.items()))


def test_its_exercises_ask_for_recall_use_and_analysis(path):
    stars = {each.stars for each in EXERCISES.values() if each.id.startswith(f"{path.stem[1]}.")}
    assert stars >= {2, 3}
    assert stars & {1, 4}


def parts(path, cells) -> dict[str, list]:
    """The cells of each sitting; labs, and what runs only behind the switch, are parts of their own."""
    part, found = "first", {"first": []}
    for cell in cells:
        part = STOPS.get(cell.id, part) if path.stem[1] in "34" else part
        found.setdefault("labs" if cell.id.startswith(("lab-", "labs-")) else part, []).append(cell)
    return found


def test_a_part_teaches_few_new_words(path, cells):
    mine = [entry for entry in entries() if entry.notebook == int(path.stem[1])]
    for name, part in parts(path, cells).items():
        prose = [cell.source for cell in part if cell.cell_type == "markdown"]
        assert sum(place_of(entry, prose) is not None for entry in mine) <= NEW_WORDS, name


def study_minutes(cells) -> float:
    """Reading time without the exercises' cells and what is folded."""
    prose = [re.sub(r"<details>.*?</details>", "", c.source, flags=re.DOTALL) for c in cells if c.cell_type != "code"]
    code = [cell for cell in cells if cell.cell_type == "code" and not cell.id.startswith("exercise-")]
    shown = [cell for cell in code if not is_plumbing(cell)]
    pictures = sum("image/png" in output.get("data", {}) for cell in shown for output in cell.outputs)
    words = sum(len(re.sub(r"\]\([^)]*\)", "]", text).split()) for text in prose)
    return words / WORDS_A_MINUTE + sum(map(lines, shown)) / CODE_LINES_A_MINUTE + pictures


def test_a_sitting_is_shorter_than_a_lesson(path, cells):
    for name, part in parts(path, cells).items():
        assert study_minutes(part) <= STUDY_MINUTES, name


def test_the_second_sitting_needs_nothing_of_the_first():
    path = notebooks()[2]
    cells = nbformat.read(path, as_version=4).cells
    second = [cells[1], *parts(path, cells)["second"], *parts(path, cells)["labs"]]
    assert next(cell for cell in cells if cell.id == "stop-here").source.startswith("**Stop here.**")
    known = {*dir(builtins), "display"}
    for cell in second:
        if cell.cell_type == "code":
            known |= bound(tree := ast.parse(cell.source))
            assert names(tree, ast.Load) <= known, cell.id


def bound(tree) -> set[str]:
    """The names that a cell's code gives a value to, anywhere in it."""
    imports = [each for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom)]
    imported = {(each.asname or each.name).split(".")[0] for statement in imports for each in statement.names}
    functions = {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    arguments = {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
    return names(tree, ast.Store) | imported | functions | arguments


def test_deeper_cells_run_only_behind_the_switch_and_nothing_needs_them():
    path = notebooks()[2]
    cells = nbformat.read(path, as_version=4).cells
    switch, *deeper = [cell for cell in parts(path, cells)["deeper"] if cell.cell_type == "code"]
    assert 'os.environ.get("CAPSTONE_DEEPER")' in switch.source
    assert len(deeper) >= 8
    for cell in deeper:
        *imports, guarded = ast.parse(cell.source).body
        assert all(isinstance(each, ast.Import | ast.ImportFrom) for each in imports), cell.id
        assert isinstance(guarded, ast.If), cell.id
        assert guarded.test.id == "DEEPER"


def calls(cells, function) -> dict[str, tuple[int, ast.Call]]:
    """Each call of a function by its first argument, with its cell's place."""
    return {
        node.args[0].value: (place, node)
        for place, cell in enumerate(cells)
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function
    }


def names(node, context) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, context)}


def test_a_guess_stands_before_what_it_asks_and_is_revealed_by_what_ran_since(path, cells):
    mine = [number for number in GUESSES if number[1] == path.stem[1]]
    guessed, revealed = calls(cells, "guess"), calls(cells, "reveal")
    assert len(mine) >= LEAST_GUESSES
    assert list(guessed) == list(revealed) == mine, "learners meet them by number"
    for number in mine:
        (asked_at, asked), (shown_at, shown) = guessed[number], revealed[number]
        assert asked.args[1].value is None, "nobody guesses for the learner"
        since = [ast.parse(cell.source) for cell in cells[asked_at + 1 : shown_at + 1] if cell.cell_type == "code"]
        made = set().union(*(names(tree, ast.Store) for tree in since))
        assert made & names(shown.args[1], ast.Load), f"{number} is not of what ran after the guess"


@pytest.mark.parametrize("number", ["R2", "R3", "R4"])
def test_it_opens_with_three_questions_from_before(number):
    cells = nbformat.read(notebooks()[int(number[1]) - 1], as_version=4).cells
    expected = QUIZZES[number].cells
    assert {cell.id: cell.source for cell in cells if cell.id in expected} == expected
    opening = [cell.id for cell in cells[: cells.index(next(c for c in cells if c.id == "cell-04"))]]
    assert opening[-2:] == list(expected)


def test_the_course_ends_with_twelve_questions():
    cells, expected = nbformat.read(notebooks()[-1], as_version=4).cells, QUIZZES["final"].cells
    assert {cell.id: cell.source for cell in cells if cell.id in expected} == expected


def test_the_course_has_enough_guesses_and_labs():
    assert len(GUESSES) >= LEAST_GUESSES_IN_ALL
    assert len(LABS) >= LEAST_LABS


def test_words_follow_each_picture(cells):
    for cell, after in pairwise(cells):
        shows = cell.cell_type == "code" and any("image/png" in each.get("data", {}) for each in cell.outputs)
        assert not shows or after.cell_type == "markdown", cell.id


def test_its_pictures_are_described_for_those_who_cannot_see_them(cells):
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    for picture in pictures:
        assert len(picture.metadata["image/png"]["alt"].split()) in ALT_WORDS


def test_its_links_lead_somewhere_from_wherever_it_is_opened(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", prose)
    assert not [link for link in links if not link.startswith("https://")], "Colab opens nothing else"
    for link in links:
        inside = link.removeprefix(SITE).removeprefix(COLAB).partition("#")[0]
        assert inside.startswith("https://") or (ROOT / inside).exists(), link


def test_a_learner_in_colab_is_told_to_keep_a_copy(cells):
    assert "*File > Save a copy in Drive*" in cells[0].source


def test_it_prints_no_address_of_the_readers_own_machine(cells):
    for cell in cells:
        if cell.cell_type == "code" and "show(" not in cell.source:  # which prints none in Colab
            assert "127.0.0.1" not in str(cell.outputs), cell.id


def test_it_ends_with_a_passport_for_the_next(cells):
    last = [cell.source for cell in cells if cell.cell_type == "code" and is_plumbing(cell)][-3:]
    assert any(source.endswith("print_line()") for source in last)


def test_its_set_up_is_a_form(path):
    assert nbformat.read(path, as_version=4).cells[1].metadata == PLUMBING


def test_github_can_show_the_whole_of_it(path):
    assert path.stat().st_size <= LARGEST_MB * 1_000_000
