"""The closed loop: days pass on a real broker, labels are joined, a bad model goes back, a dead process is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from capstone_utils.course.demos import closed_loop
from capstone_utils.course.demos.closed_loop import ClosedLoop
from capstone_utils.course.rehearsal import CHAMPION_DAY
from capstone_utils.monitoring.gate.paired import verdicts
from tests.small_world import NOW, small_world

PROMISE = {"precision_low": 0.5}


@pytest.fixture
def loop(broker, tmp_path):
    """The loop of the small world, whose champion has a promise to keep."""
    world = small_world()
    world = world._replace(champion=replace(world.champion, metrics=PROMISE))
    with ClosedLoop(replace(broker.settings, work_dir=tmp_path), world) as running:
        yield running


def test_days_pass_with_the_champions_alerts_and_what_was_known_on_each(loop):
    loop.run_to(CHAMPION_DAY + 3)
    scored = loop.frame["version"] != ""
    days = range(CHAMPION_DAY, CHAMPION_DAY + 3)
    assert scored.equals(loop.frame["day"].isin(days))
    alerts = verdicts(loop.world.champion, loop.frame[scored]).alerts
    assert np.array_equal(loop.frame.loc[scored, "alert"], alerts)
    assert [known.day for known in loop.known] == [day + 1 for day in days]
    assert {known.version for known in loop.known} == {loop.registry.champion()}
    frauds = loop.frame[scored & (loop.frame["scenario"] != "legitimate")]
    caught = loop.caught_by_day()
    assert (caught["frauds"].sum(), caught["caught"].sum()) == (len(frauds), frauds["alert"].sum())


def test_a_model_that_slips_through_is_rolled_back_once_its_payments_are_settled(loop):
    sound = loop.registry.champion()
    loop.run_to(CHAMPION_DAY + 1)
    bad = loop.slip_through(threshold=0.0002)
    found = loop.run_until_rolled_back(last_day=NOW - 1)
    assert found.rolled_back
    assert found.below == "precision"
    assert loop.registry.champion() == found.version == sound
    assert loop.events[-2:] == [(CHAMPION_DAY + 1, "a bad model slips through"), (loop.day, "back to the one before")]
    assert set(loop.frame["version"]) == {"", sound, bad}


def test_without_an_alarm_the_loop_stops_at_the_last_day(loop):
    assert not loop.run_until_alarm(last_day=CHAMPION_DAY + 1)
    assert loop.day == CHAMPION_DAY + 1
    assert loop.events == []


def test_a_feedback_process_that_has_ended_is_told_with_its_last_words(loop):
    loop.run_to(CHAMPION_DAY + 1)
    loop._feedback.stop()
    with pytest.raises(TimeoutError, match=r"feedback process does not keep up: .*\S"):
        loop.run_to(CHAMPION_DAY + 2)


def test_one_that_is_too_slow_is_waited_for_no_longer_than_stated(loop, monkeypatch):
    monkeypatch.setattr(closed_loop, "PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr(loop, "_page", list)
    with pytest.raises(TimeoutError, match="does not keep up"):
        loop.run_to(CHAMPION_DAY + 1)
