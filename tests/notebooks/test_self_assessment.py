"""The self-assessment has each objective of the notebooks with its exercises; the teacher's notes add up."""

import re

import nbformat
import pytest

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.exercises.checking import EXERCISES
from capstone_utils.course.learner.assessment import objectives as assessed
from capstone_utils.settings import ROOT

NUMBERS = re.compile(r"\b\d\.\d+\b")


def statements(number: int) -> dict[str, set[str]]:
    """The sentences of a notebook's section, and the exercises beside each."""
    rows = assessed()[["I can ...", "proof"]].itertuples(index=False)
    return {can: set(proof.split(", ")) for can, proof in rows if proof.startswith(f"{number}.")}


def objectives(number: int) -> list[str]:
    """The objectives of a notebook, as it lists them."""
    goals = nbformat.read(notebooks()[number - 1], as_version=4).cells[2].source.partition("| component |")[0]
    return re.split(r"^(?:\d\.|-) ", re.sub(r"\]\([^)]*\)", "]", goals), flags=re.MULTILINE)[1:]


def words(text: str) -> set[str]:
    """The words in bold of an objective, or the words of a sentence."""
    bold = re.findall(r"\*\*(.+?)\*\*", text)
    return set(re.findall(r"[a-z]+", " ".join(bold or [text]).lower()))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_each_objective_of_a_notebook_stands_there_with_its_exercises(number):
    rows, goals = statements(number), objectives(number)
    assert len(rows) == len(goals) > 0
    for (row, proof), goal in zip(rows.items(), goals, strict=True):
        assert words(goal) <= words(row), f"notebook {number} says {goal!r}"
        assert proof == set(NUMBERS.findall(goal)), row


def test_each_exercise_proves_something_and_exists():
    named = set().union(*(proof for number in (1, 2, 3, 4) for proof in statements(number).values()))
    assert named == set(EXERCISES)


def test_the_minutes_of_each_way_add_up():
    table = (
        (ROOT / "docs" / "teaching.md").read_text().partition("## Three ways through")[2].partition("\n\nWhoever")[0]
    )
    ways = re.split(r"\| \*\*sum\*\* \| \*\*(\d+)\*\* \|", table)
    for rows, total in zip(ways[::2], ways[1::2], strict=False):
        assert sum(map(int, re.findall(r"\| (\d+) \|$", rows, flags=re.MULTILINE))) == int(total)
    assert len(ways) == 7


def test_the_exercises_that_the_notes_name_exist():
    notes = (ROOT / "docs" / "teaching.md").read_text()
    assert set(re.findall(r"\b[1-4]\.\d+(?=:| in pairs| by show|,| and)", notes)) - {"0.96"} <= set(EXERCISES)
    assert [f"**L{number}**" for number in range(1, 11)] == re.findall(r"\*\*L\d+\*\*", notes)


def test_what_the_notes_quote_is_what_a_check_says():
    notes = (ROOT / "docs" / "teaching.md").read_text()
    quotes = re.findall(r'^\| (\d\.\d+): .+? \| "(.+?)(?: \.\.\.)?" \|', notes, flags=re.MULTILINE)
    assert len(quotes) == 12
    for number, quote in quotes:
        assert any(quote in wrong.says or wrong.says in quote for wrong in EXERCISES[number].wrong), quote
