"""A guess is kept, set beside what the run says, and may be left out."""

import pytest

from capstone_utils.course.learner import guess, reveal, your_guesses


@pytest.mark.parametrize(
    ("said", "seen", "words"),
    [
        (300, 692.4, "You said 300, the run says 692 minutes (P1.1): you were 2.3 times too low."),
        (1_500, 692.4, "You said 1,500, the run says 692 minutes (P1.1): you were 2.2 times too high."),
        (700, 692.4, "You said 700, the run says 692 minutes (P1.1): well guessed."),
        (0, 3, "You said 0, the run says 3 minutes (P1.1): you were 3 too low."),
        (2, 0, "You said 2, the run says 0 minutes (P1.1): you were 2 too high."),
        (0, 0, "You said 0, the run says 0 minutes (P1.1): well guessed."),
    ],
)
def test_a_guess_is_set_beside_what_the_run_says(said, seen, words, capsys):
    guess("P1.1", said)
    reveal("P1.1", seen)
    kept, beside = capsys.readouterr().out.splitlines()
    assert kept.startswith("Kept (P1.1): ")
    assert beside == words


def test_none_skips_and_takes_an_earlier_guess_back(capsys):
    guess("P1.1", 300)
    guess("P1.1", None)
    reveal("P1.1", 692.4)
    skipped, said = capsys.readouterr().out.splitlines()[1:]
    assert skipped == "Skipped (P1.1). To guess, put a number in place of None."
    assert said == "The run says 692 minutes (P1.1)."


@pytest.mark.parametrize("value", ["many", float("nan"), float("inf"), [3]])
def test_what_is_no_number_is_not_kept(value, capsys):
    guess("P1.1", value)
    reveal("P1.1", 692.4)
    refused, said = capsys.readouterr().out.splitlines()
    assert refused.startswith(f"Not kept (P1.1): {value!r} is no number.")
    assert said.startswith("The run says")


def test_all_that_were_revealed_stand_in_one_table(capsys):
    guess("P1.1", 300)
    guess("P2.1", 3)
    assert your_guesses() is None
    assert "No guess was revealed yet" in capsys.readouterr().out
    reveal("P1.1", 692.4)
    assert your_guesses().reset_index().to_numpy().tolist() == [
        ["P1.1", "median time unseen, checked nightly", "300", "692 minutes", "you were 2.3 times too low"]
    ]
