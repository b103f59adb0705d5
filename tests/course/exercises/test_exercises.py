"""Each exercise: its starter calls to work, its solution passes, each typical wrong answer gets its own words."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from capstone_utils.course.authoring.lesson_cells import write_lessons
from capstone_utils.course.exercises import hint, progress, solution
from capstone_utils.course.exercises.checking import EXERCISES, outcome
from capstone_utils.course.exercises.ingestion.log import BUSY

SERVED = ("1", "3", "4")  # notebooks whose fixtures start a server, which pytest cannot see: tests ask for them by name


def param(exercise, *rest, name=""):
    marks = [pytest.mark.server] if exercise.id[0] in SERVED else []
    return pytest.param(exercise, *rest, id=f"{exercise.id}{name}", marks=marks)


def each_answer():
    for exercise in EXERCISES.values():
        yield param(exercise, exercise.starter, "Your turn", "hint", name="-starter")
        yield param(exercise, exercise.solution, "Right", exercise.praise, name="-solution")
        for number, wrong in enumerate(exercise.wrong, start=1):
            yield param(exercise, wrong.code, "Not yet", wrong.says, name=f"-wrong-{number}")


@pytest.mark.parametrize(("exercise", "code", "begins", "words"), each_answer())
def test_an_answer_gets_its_own_words(exercise, code, begins, words, names, capsys):
    said = BUSY
    for _ in range(3):
        if BUSY in said:  # no word on the answer: the learner is told to run it again
            exec(f"{code}\n{exercise.call}", names)
            said = capsys.readouterr().out
    assert said.startswith(f"{begins} ({exercise.id}). ")
    assert words in said
    assert "raised" not in said


@pytest.fixture(params=map(param, EXERCISES.values()))
def exercise(request):
    return request.param


def test_it_has_three_wrong_answers_with_words_of_their_own_and_a_hint(exercise):
    assert len({wrong.says for wrong in exercise.wrong}) == len(exercise.wrong) >= 3
    assert exercise.hints
    assert exercise.stars in (1, 2, 3, 4)
    assert exercise.objective.startswith(f"O{exercise.id[0]}.")


def given(exercise, names):
    """What the exercise's call hands over beside the answer."""
    caught = {}
    exec(exercise.call, {**_any_answer(exercise), **names, "check": lambda *_, **given: caught.update(given)})
    return caught


def _any_answer(exercise):
    """A value for each name that the call may read of the answer."""
    return {name: None for name in compile(exercise.call, "call", "exec").co_names if name in exercise.starter}


def test_any_other_object_gets_a_sentence(exercise, names):
    for answer in (object(), "nonsense", [], -1, {}):
        said = outcome(exercise, answer, given(exercise, names))
        assert said is None or (said and said[0].isprintable())


def test_an_error_in_the_code_of_a_learner_gets_a_sentence(exercise, names):
    if "def " not in exercise.starter:
        pytest.skip("its answer is a value")

    def broken(*_):
        raise ZeroDivisionError("my own")

    assert outcome(exercise, broken, given(exercise, names)) == "Your code raised ZeroDivisionError: my own"


def test_hints_come_one_after_the_other_and_a_solution_when_asked(capsys):
    hint("1.6")
    hint("1.6")
    solution("1.6")
    first, second, code = capsys.readouterr().out.splitlines()
    assert first.startswith("Hint 1 of 2 (1.6): How many partitions")
    assert second.startswith("Hint 2 of 2 (1.6): Each partition is read")
    assert code == "members_without_work = 1"


def test_progress_counts_what_is_solved_and_names_the_next(capsys):
    exec("from capstone_utils.course.exercises import check\noutside_from = 630\ncheck('2.1', outside_from)")
    progress(2)
    assert capsys.readouterr().out.endswith("Exercises: 1 of 7 solved; next: 2.2\n")


def test_a_notebook_gets_the_cells_of_its_exercises_and_keeps_the_others(exercise):
    cells = [new_markdown_cell("mine", id="mine"), new_code_cell("old", id=exercise.cell_id)]
    notebook = new_notebook(cells=cells)
    assert write_lessons(notebook) == [exercise.cell_id]
    assert [cell.source for cell in notebook.cells] == ["mine", exercise.cells[exercise.cell_id]]
    assert write_lessons(notebook) == []
