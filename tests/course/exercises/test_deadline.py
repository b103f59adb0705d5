"""A learner's code ends in time, whatever it does."""

import threading
import time

import pytest

from capstone_utils.course.exercises import check
from capstone_utils.course.exercises.deadline import TimeIsUp, run_within


def for_ever(*_):
    while True:
        pass


def test_an_endless_loop_ends_and_leaves_no_thread(wait_until):
    before = threading.active_count()
    with pytest.raises(TimeIsUp, match="not done after 0 s"):
        run_within(0.2, for_ever)
    wait_until(lambda: threading.active_count() == before)


def test_code_that_catches_everything_is_left_behind_in_time():
    ending = threading.Event()

    def work():
        while not ending.is_set():
            try:
                time.sleep(0.01)
            except BaseException:
                assert True

    began = time.monotonic()
    with pytest.raises(TimeIsUp):
        run_within(0.2, work)
    assert time.monotonic() - began < 5
    ending.set()


def test_a_value_and_an_error_come_back_as_they_are():
    assert run_within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        run_within(5, lambda: 1 / 0)
    with pytest.raises(TimeoutError, match="its own"):
        run_within(5, lambda: (_ for _ in ()).throw(TimeoutError("its own")))


def test_an_exercise_of_an_endless_loop_ends_within_five_seconds(capsys):
    began = time.monotonic()
    check("1.3", for_ever, topic="none", messages=9, bootstrap_servers="127.0.0.1:1")
    assert time.monotonic() - began < 5
    assert capsys.readouterr().out == "Not yet (1.3). Your code still ran after 4 seconds. Stop when the time is up.\n"
