"""Questions from before: a sentence for every choice, and the right one is not always at the same place."""

import re

import nbformat
import pytest

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.learner import quiz
from capstone_utils.course.learner.final_questions import FINAL
from capstone_utils.course.learner.passport import read_passport
from capstone_utils.course.learner.recall import LETTERS, QUIZZES

QUESTIONS = [
    pytest.param(number, place, question, id=f"{number}.{place}")
    for number, each in QUIZZES.items()
    for place, question in enumerate(each.questions, start=1)
]


LATER_THAN = {"R2": 2, "R3": 3, "R4": 4, "final": 5}  # asked about the notebooks before this one


def choice(place, letter):
    return [letter if each == place else None for each in range(1, 13)]


@pytest.mark.parametrize(("number", "place", "question"), QUESTIONS)
def test_every_choice_has_its_own_sentence_and_one_is_right(number, place, question, capsys):
    for letter in LETTERS:
        quiz(number, *choice(place, letter))
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{place}. ")]
    assert len(set(said)) == len(LETTERS)
    assert sum(line.startswith(f"{place}. Right. ") for line in said) == 1
    assert sum(f'(Notebook {question.notebook}, "{question.heading}".)' in line for line in said) == 2
    assert read_passport().stamps == {f"{number}.{place}"}


@pytest.mark.parametrize(("number", "place", "question"), QUESTIONS)
def test_a_question_names_the_place_where_it_was_taught(number, place, question):
    assert question.notebook < LATER_THAN[number]
    cells = nbformat.read(notebooks()[question.notebook - 1], as_version=4).cells
    headings = re.findall(r"^##+ (.+)$", "\n".join(cell.source for cell in cells), re.MULTILINE)
    assert question.heading in headings


@pytest.mark.parametrize("each", QUIZZES.values(), ids=QUIZZES)
def test_right_choices_stand_at_different_places(each):
    rights = [[option.right for option in question.options].index(True) for question in each.questions]
    assert max(map(rights.count, rights)) <= len(rights) / 3


@pytest.mark.parametrize("each", QUIZZES.values(), ids=QUIZZES)
def test_each_earlier_notebook_is_asked_about(each):
    assert {question.notebook for question in each.questions} == set(range(1, LATER_THAN[each.number]))


def test_nothing_chosen_and_no_such_letter_are_said_in_words(capsys):
    quiz("R2", None, None, None)
    quiz("R2", "d", None, 7)
    nothing, letter, number, score = capsys.readouterr().out.splitlines()
    assert nothing.startswith("Your turn (R2).")
    assert letter == "1. 'd' is none of the letters a, b, c."
    assert number == "3. 7 is none of the letters a, b, c."
    assert score == "0 of 3 answered well so far"


def test_the_last_one_has_twelve_questions_and_keeps_the_score(capsys):
    rights = [next(letter for letter, each in zip(LETTERS, q.options, strict=True) if each.right) for q in FINAL]
    quiz("final", *rights[:11])
    quiz("final", *[None] * 11, rights[11])
    scores = [line for line in capsys.readouterr().out.splitlines() if line.endswith("so far")]
    assert scores == ["11 of 12 answered well so far", "12 of 12 answered well so far"]
