"""Each lab breaks a real part, and only a repair brings the steady state back; nothing stays behind.

The tests share their servers, so each lab is run a second time where it was run, and left unmended, before.
"""

import time

import psutil
import pytest

from capstone_utils.course.labs.catalogue import LABS

SECONDS = 40
ON_THE_BROKER, WITH_MODELS = (1, 2, 3, 4, 7), (5, 6, 8, 9, 10)
FIXTURES = dict.fromkeys(ON_THE_BROKER, "on_the_broker") | dict.fromkeys(WITH_MODELS, "with_models")
STEADY = {  # words of the steady state, at a lab's end
    1: "the broker answers: True",
    2: "0 left unread",
    3: "0 payments without a count, 0 too late",
    4: "wait in the fullest partition",
    5: "F1 0.",
    6: "the quick model decides",
    7: "lost 0, scored twice 0, of 400 payments",
    8: "0 of 200 payments lack a batch feature",
    9: "0 differences between a state made from the log and offline",
    10: "in the world without the new fraud",
}
STORIES = {  # words of what happened
    1: "payments wait in its memory",
    2: "each stopped at offset 100: InvalidTransaction",
    3: "13 of her 14 payments have no count",
    4: "% of all payments",
    5: "The file holds today what nobody knew then",
    6: "others stand in line before it",
    7: "so 50 payments have no score",
    8: "200 of 200 payments had no",
    9: "amount_ratio is wrong for 30",
    10: "The gauge moved by 0.0",
}
TO_BREAK = ("steady", "hypothesis", "broken", "watch", "happened")

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture(params=sorted(FIXTURES), ids=lambda number: f"lab-{number}")
def lab(request):
    return LABS[request.param]


@pytest.fixture
def names(request, lab):
    return dict(request.getfixturevalue(FIXTURES[lab.number]))


@pytest.fixture
def steady_state(lab):
    return STEADY[lab.number]


@pytest.fixture(autouse=True)
def nothing_left_behind(names):
    """The same servers run before and after, and no other process."""
    before = running()
    yield
    assert running() == before


def running():
    return sorted(process.name() for process in psutil.Process().children(recursive=True))


def test_without_a_repair_the_check_fails_and_the_lab_puts_the_steady_state_back(lab, names, steps, steady_state):
    began = time.monotonic()
    story = steps(lab, names, *TO_BREAK)
    assert STORIES[lab.number] in story
    proof = steps(lab, names, "repair", "proof")
    assert proof.startswith(f"Your turn (lab {lab.number}). ")
    assert "Right" not in proof
    assert proof.splitlines()[-1].startswith("Steady state at the end: ")
    assert steady_state in proof.splitlines()[-1]
    assert time.monotonic() - began < SECONDS


def test_wrong_repairs_get_their_own_words_and_the_right_one_brings_the_steady_state_back(
    lab, names, steps, steady_state
):
    steps(lab, names, *TO_BREAK)
    name = lab.proof.code.removeprefix("lab.prove(").removesuffix(")")
    for wrong in lab.wrong:
        steps(lab, names, "repair", wrong.code)
        assert wrong.says in names["lab"].tried(names[name])
    assert names["lab"].tried(object()), "anything else gets a sentence"
    began = time.monotonic()
    proof = steps(lab, names, "repair", lab.solution, "proof")
    assert f"Right (lab {lab.number}). " in proof
    assert proof.splitlines()[-1].startswith("Steady state at the end: ")
    assert steady_state in proof.splitlines()[-1]
    assert time.monotonic() - began < SECONDS
