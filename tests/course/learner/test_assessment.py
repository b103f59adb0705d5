"""The self-assessment says of each objective which of its exercises are solved."""

from capstone_utils.course.exercises.checking import EXERCISES
from capstone_utils.course.learner.assessment import ALL, NONE, SOME, assessment, objectives
from capstone_utils.course.learner.passport import stamp


def test_each_objective_has_its_solved_exercises():
    for done in ("1.1", "1.3", "1.6", "L3"):
        stamp(done)
    rows = objectives().set_index("proof")
    assert rows.loc["1.1", ["solved", ""]].tolist() == ["1.1", ALL]
    assert rows.loc["1.3, 1.6, 1.7", ["solved", ""]].tolist() == ["1.3, 1.6", SOME]
    assert set(rows.loc[~rows.index.isin(["1.1", "1.3, 1.6, 1.7"]), ""]) == {NONE}


def test_every_exercise_proves_one_and_with_all_solved_each_is_ticked():
    assert sorted(EXERCISES) == sorted(", ".join(objectives()["proof"]).split(", "))
    for number in EXERCISES:
        stamp(number)
    assert set(objectives()[""]) == {ALL}


def test_a_notebook_shows_it_without_an_index_and_in_full():
    page = assessment().to_html()
    assert "kill a worker in the middle of the stream, and prove that no payment was lost or scored twice" in page
    assert "row_heading" not in page
