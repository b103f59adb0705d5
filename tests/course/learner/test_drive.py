"""The learner's own work is kept on Drive when asked for, and nothing else is."""

import matplotlib
import pytest

from capstone_utils.course import colab
from capstone_utils.course.learner.passport import change_passport, read_passport, stamp
from capstone_utils.course.results import record


@pytest.fixture(autouse=True)
def beside_the_notebook(tmp_path, monkeypatch):
    """A folder of the test's own, in which the capstone's file lies."""
    (tmp_path / "notebook").mkdir()
    monkeypatch.chdir(tmp_path / "notebook")
    return tmp_path / "notebook"


@pytest.fixture
def setup(monkeypatch):
    monkeypatch.setattr(colab, "read_requirements", lambda _: [])
    monkeypatch.setattr(colab, "find_java", lambda: None)
    monkeypatch.setattr(colab, "_versions", lambda: "")

    def run(on_drive):
        with matplotlib.rc_context():
            colab.setup(on_drive=on_drive)

    return run


def folder(fake_colab):
    return fake_colab.drive / "MyDrive" / "streaming-fraud-detection"


def test_progress_comes_from_drive_and_goes_there_with_each_exercise(fake_colab, setup, monkeypatch, tmp_path, capsys):
    setup(True)
    stamp("1.2")
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "another machine"))
    assert read_passport().stamps == set()
    setup(True)
    assert read_passport().stamps == {"1.2"}
    assert "MyDrive/streaming-fraud-detection: 1 stamps, 0 guesses" in capsys.readouterr().out


def test_what_was_done_here_counts_as_well(fake_colab, setup):
    change_passport(lambda passport: passport.guesses.update({"P1.1": (5.0, None)}))
    setup(True)
    stamp("1.2")
    assert read_passport(folder(fake_colab) / "passport.json").guesses == {"P1.1": (5.0, None)}


def test_a_feature_of_ones_own_comes_back_and_one_that_is_there_stays(fake_colab, setup, beside_the_notebook):
    setup(True)
    (folder(fake_colab) / "my_feature.py").write_text("from Drive")
    (folder(fake_colab) / "my_thief.py").write_text("from Drive")
    (beside_the_notebook / "my_thief.py").write_text("from here")
    setup(True)
    assert (beside_the_notebook / "my_feature.py").read_text() == "from Drive"
    assert (beside_the_notebook / "my_thief.py").read_text() == "from here"


def test_nothing_else_goes_to_drive(fake_colab, setup):
    setup(True)
    stamp("1.2")
    record("f1", 0.9)
    assert [path.name for path in folder(fake_colab).iterdir()] == ["passport.json"]


def test_who_does_not_ask_for_it_has_nothing_there(fake_colab, setup):
    setup(False)
    stamp("1.2")
    assert not fake_colab.drive.exists()


def test_a_refusal_is_said_in_words_and_the_notebook_goes_on(fake_colab, setup, capsys):
    fake_colab.drive = None
    setup(True)
    stamp("1.2")
    assert "Drive is not used: mount failed. The notebook goes on without it." in capsys.readouterr().out
    assert read_passport().stamps == {"1.2"}


def test_a_drive_that_is_taken_away_is_said_in_words(fake_colab, setup, capsys):
    setup(True)
    (folder(fake_colab) / "passport.json").unlink()
    folder(fake_colab).rmdir()
    stamp("1.2")
    assert "passport.json is not kept on Drive: No such file or directory" in capsys.readouterr().out
    assert read_passport().stamps == {"1.2"}


def test_outside_colab_there_is_none(setup, capsys):
    setup(True)
    assert "Drive is for Colab" in capsys.readouterr().out
