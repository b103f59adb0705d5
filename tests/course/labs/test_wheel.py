"""The wheel breaks one lab without saying which, counts the guesses, and leaves nothing running."""

import nbformat
import psutil
import pytest

from capstone_utils.__main__ import parse_arguments
from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.labs import wheel as wheels
from capstone_utils.course.labs.catalogue import LABS
from capstone_utils.course.labs.wheel import NUMBERS, Wheel


def children():
    return [process.name() for process in psutil.Process().children(recursive=True)]


@pytest.mark.server
def test_it_shows_the_numbers_of_before_and_now_and_scores_the_diagnosis(fresh, capsys):
    before = children()
    with Wheel(fresh, choose=lambda numbers: 2) as wheel:
        wheel.spin()
        shown = capsys.readouterr().out
        assert "read 100 payments, 0 left unread" in shown
        assert "start 3: stopped at offset 100" in shown
        assert "no payments" not in shown  # what the break itself says
        wheel.diagnose("4")
        wheel.diagnose("a poison message\n")
        said = capsys.readouterr().out
    assert said.startswith("No. 2 guesses left.\nIt was lab 2: A poison message. 2 of 3 points.")
    assert LABS[2].lesson in said
    assert wheel.over
    assert children() == before


@pytest.mark.server
def test_after_three_wrong_guesses_it_says_what_it_was(fresh, capsys):
    before = children()
    with Wheel(fresh, choose=lambda numbers: 2) as wheel:
        wheel.spin()
        for guess in ("1", "3", "the moon"):
            wheel.diagnose(guess)
        wheel.diagnose("2")
    assert "It was lab 2: A poison message. 0 of 3 points." in capsys.readouterr().out
    assert children() == before


def test_it_knows_the_labs_of_one_to_nine_and_is_a_command():
    assert sorted(NUMBERS) == list(range(1, 10))
    assert parse_arguments(["wheel"]).command == "wheel"


def test_the_cells_of_notebook_4_spin_and_diagnose_only_when_asked(monkeypatch):
    cells, done = {cell.id: cell.source for cell in nbformat.read(notebooks()[3], as_version=4).cells}, []

    class Noted(Wheel):
        def spin(self):
            done.append("spin")

        def diagnose(self, cause):
            done.append(cause)

    monkeypatch.setattr(wheels, "Wheel", Noted)
    names = {"settings": None}
    for spin, lab in ((False, ""), (True, "2")):
        assert done == []
        exec(cells["wheel-spin"].replace("SPIN = False", f"SPIN = {spin}"), names)
        exec(cells["wheel-answer"].replace('LAB = ""', f'LAB = "{lab}"'), names)
    assert done == ["spin", "2"]
