"""What a run measured is kept once, judged by the brief's goals and shown as people read it."""

import json
import math

import pytest

from capstone_utils.course.results import METRICS, Figure, load, record, results_path, shown, success_rows


@pytest.fixture(autouse=True)
def own_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path))


def test_a_figure_is_kept_beside_the_others_and_a_later_one_replaces_it():
    record("payments", 90_000)
    record("parity_rows", 5.0, "rows")
    record("payments", 91_000, "payments")
    assert load(results_path()) == {"payments": Figure(91_000, "payments"), "parity_rows": Figure(5, "rows")}


def test_a_metric_brings_its_own_unit():
    record("response_p95_ms", 12.34, "seconds")
    assert load(results_path())["response_p95_ms"].text == "12.3 ms"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_was_not_measured_is_not_kept(value):
    with pytest.raises(ValueError, match=f"f1={value} is not a finite number: nothing was measured"):
        record("f1", value)
    assert load(results_path()) == {}


def test_the_file_is_plain_json_in_order():
    record("b", 2)
    record("a", 1)
    assert list(json.loads(results_path().read_text())) == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1003.4, "a second", "1,003 a second"),
        (12.345, "ms", "12.3 ms"),
        (0.93149, "", "0.931"),
        (0.9, "", "0.9"),
        (200, "ms", "200 ms"),
        (0, "payments", "0 payments"),
        (1_234_567.0, "", "1,234,567"),
        (0.00012345, "", "0.000123"),
    ],
)
def test_a_value_is_shown_as_people_read_it(value, unit, text):
    assert shown(value, unit) == text


@pytest.mark.parametrize(
    ("name", "just_met", "just_not"),
    [
        ("response_p95_ms", 199.9, 200),
        ("f1", 0.901, 0.9),
        ("throughput_median", 1000, 999.9),
        ("throughput_left_unread", 0, 1),
    ],
)
def test_a_goal_is_met_on_its_own_side_only(name, just_met, just_not):
    assert METRICS[name].met(just_met)
    assert not METRICS[name].met(just_not)


def test_a_metric_without_a_figure_is_not_measured_and_not_met():
    rows = success_rows({"f1": Figure(0.95)})
    assert len(rows) == len(METRICS)
    assert ("F1", "above 0.9", "0.95", "met") in rows
    assert ("Response time", "below 200 ms", "not measured", "not met") in rows
