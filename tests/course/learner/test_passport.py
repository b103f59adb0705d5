"""The passport survives what happens to its file."""

import pytest

from capstone_utils.course.learner.passport import change_passport, passport_path, read_passport
from capstone_utils.course.work_directory import take_over


def test_stamps_and_guesses_are_there_after_a_restart():
    change_passport(lambda passport: passport.stamps.add("1.2"))
    change_passport(lambda passport: passport.guesses.update({"P1.1": (300.0, None)}))
    assert read_passport().stamps == {"1.2"}
    assert read_passport().guesses == {"P1.1": (300.0, None)}


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"stamps": ["1.2"]}', '{"stamps": 1, "guesses": {"P1.1": 3}}'])
def test_a_broken_file_is_said_in_words_and_replaced(text, capsys):
    passport_path().parent.mkdir()
    passport_path().write_text(text)
    change_passport(lambda passport: passport.stamps.add("1.2"))
    assert "passport.json cannot be read" in capsys.readouterr().out
    assert read_passport().stamps == {"1.2"}


def test_a_directory_for_reading_only_is_said_in_words(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "file" / "below"))  # refused to root, too
    change_passport(lambda passport: passport.stamps.add("1.2"))
    assert capsys.readouterr().out == "your progress is not kept: Not a directory\n"


def test_a_run_does_not_clear_it(work_dir):
    change_passport(lambda passport: passport.stamps.add("1.2"))
    take_over(work_dir)
    assert read_passport().stamps == {"1.2"}
