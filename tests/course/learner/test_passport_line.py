"""A passport goes from machine to machine as one line, whole or not at all."""

import sys

import pytest

from capstone_utils.course.exercises.checking import EXERCISES
from capstone_utils.course.learner.guesses import GUESSES
from capstone_utils.course.learner.passport import change_passport, read_passport
from capstone_utils.course.learner.passport_line import DamagedPassport, print_line, take_line, write_line
from capstone_utils.course.results import METRICS, load, record, results_path

LONGEST = 600  # characters, when everything is in it


@pytest.fixture
def line(tmp_path, monkeypatch):
    """The line of another machine, on which everything was done."""
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "earlier"))
    change_passport(lambda passport: passport.stamps.update(EXERCISES))
    pairs = {number: (0.001234567 * 7**place, 98.76543 / 3**place) for place, number in enumerate(GUESSES)}
    change_passport(lambda passport: passport.guesses.update(pairs))
    for name in METRICS:
        record(name, 1_234.5)
    line = write_line()
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "later"))
    return line


def test_it_carries_stamps_guesses_and_success_metrics(line):
    assert take_line(f"  {line}\n") == f"your passport: {len(EXERCISES)} stamps, {len(GUESSES)} guesses"
    passport = read_passport()
    assert passport.stamps == set(EXERCISES)
    assert passport.guesses["P1.1"] == (0.001235, 98.77)
    assert {name: figure.value for name, figure in load(results_path()).items()} == dict.fromkeys(METRICS, 1234.0)


def test_it_is_one_line_of_bounded_length(line):
    assert line.isprintable()
    assert len(line) <= LONGEST


def test_what_was_done_here_counts_more(line):
    change_passport(lambda passport: passport.guesses.update({"P1.1": (5.0, None)}))
    record("f1", 0.9)
    take_line(line)
    assert read_passport().guesses["P1.1"] == (5.0, None)
    assert load(results_path())["f1"].value == 0.9


def test_a_changed_or_missing_character_is_refused_in_words(line):
    broken = [line[:place] + ("A" if line[place] != "A" else "B") + line[place + 1 :] for place in range(len(line) - 4)]
    for text in [*broken, line[:-4], line[5:], "SFD1-", "hello", "SFD1-ä"]:
        with pytest.raises(DamagedPassport, match=r"is no whole passport. Copy the whole line"):
            take_line(text)
    assert read_passport().stamps == set()


def test_it_is_printed_in_colab_alone(fake_colab, monkeypatch, capsys):
    print_line()
    assert capsys.readouterr().out.splitlines()[1].startswith("SFD1-")
    monkeypatch.delitem(sys.modules, "google.colab")
    print_line()
    assert capsys.readouterr().out == ""
