"""The capstone's parts: files that are no project, untidy arrivals, and the thief's payments in the stream."""

import numpy as np
import pytest

from capstone_utils.course.capstone.correctness import LATEST_SECONDS, UNTIDY, untidy
from capstone_utils.course.capstone.project import InvalidProject, read_project
from capstone_utils.course.capstone.thief import SCENARIO, Thief, with_thief
from capstone_utils.errors import InvalidValue
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.transaction import DAY_US, SECOND_US

THIEF = Thief(payments=(3, 5), gap_seconds=(60, 600), dollars=(20, 60), shops="Gift Cards", one_shop=True, device="own")


@pytest.fixture(scope="module")
def stream():
    return simulate(SimulatorConfig(customers=60, days=20))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("NAME = 'Big'", "NAME='Big'"),
        ("NAME = 'amount'", "a name of its own"),
        ("NAME = 'mine'", "a class Online and a function offline"),
        ("1 / 0", "raised ZeroDivisionError when it was read"),
        ("FEATURE = 3", "NAME=''"),
        ("NAME = 'mine'\nOnline = offline = print\nTHIEF = 'me'", "THIEF='me'; a Thief"),
    ],
)
def test_a_file_that_is_no_project_is_named_with_its_fault(tmp_path, source, fault):
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(InvalidProject, match=fault.replace("(", r"\(")):
        read_project(path)


@pytest.mark.parametrize("counted", ["'count', 'amount_cents'", "'same', 'category'"])
def test_a_feature_of_the_spec_needs_no_code(tmp_path, stream, counted):
    path = tmp_path / "mine.py"
    path.write_text(f"from capstone_utils.features.spec import Window\nFEATURE = Window('mine', {counted}, 3600)\n")
    project = read_project(path)
    values = project.values(stream.transactions)
    assert project.name == "mine"
    assert values.min() == 1 < values.max()


def test_the_code_of_a_project_that_raises_is_named_with_the_payment(tmp_path, stream):
    path = tmp_path / "mine.py"
    path.write_text("NAME = 'mine'\nclass Online:\n    update = None\ndef offline(payments):\n    return payments.x\n")
    project = read_project(path)
    with pytest.raises(InvalidProject, match=r"offline\(\) raised AttributeError"):
        project.values(stream.transactions)


def test_untidy_arrivals_are_the_same_payments_some_late_and_some_twice(stream):
    arrivals = untidy(stream.transactions)
    assert len(arrivals) == len(stream.transactions) + UNTIDY
    assert arrivals["transaction_id"].nunique() == len(stream.transactions)
    behind = arrivals["event_time_us"].cummax() - arrivals["event_time_us"]
    assert 0 < behind.max() <= LATEST_SECONDS * SECOND_US


def test_the_thief_s_payments_follow_his_recipe(stream):
    robbed = with_thief(stream, THIEF, from_day=10)
    mine = robbed.truth["scenario"] == SCENARIO
    his = robbed.transactions[mine]
    assert len(robbed.transactions) == len(robbed.labels) == len(robbed.truth) == len(stream.transactions) + len(his)
    assert robbed.transactions["event_time_us"].is_monotonic_increasing
    assert robbed.transactions["transaction_id"].equals(robbed.labels["transaction_id"])
    assert his["event_time_us"].min() >= stream.config.start_us() + 10 * DAY_US
    assert his["event_time_us"].max() < stream.config.start_us() + 20 * DAY_US
    assert his["merchant"].str.contains("Gift Cards").all()
    assert his["amount_cents"].between(2_000, 6_000).all()
    cases = his.groupby(["user_id", "merchant"])
    assert cases.size().between(3, 10).all()
    known = stream.transactions.astype({"device": str}).groupby("user_id")["device"].agg(set)
    assert all(device in known[user] for user, device in zip(his["user_id"], his["device"], strict=True))
    assert robbed.labels[mine.to_numpy()]["is_fraud"].mean() > 0.9


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"payments": (5, 3)}, "payments"),
        ({"device": "stolen"}, "device"),
        ({"cases": 0.0}, "cases"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_by_field(change, fault):
    with pytest.raises(InvalidValue, match=fault):
        Thief(**{"payments": (3, 5), "gap_seconds": (60, 600), "dollars": (20, 60), **change})


def test_a_thief_whose_shops_do_not_exist_is_refused(stream):
    nowhere = Thief(payments=(3, 5), gap_seconds=(60, 600), dollars=(20, 60), shops="Submarines")
    with pytest.raises(InvalidValue, match="Submarines"):
        with_thief(stream, nowhere)


def test_the_same_recipe_gives_the_same_payments(stream):
    first, second = (with_thief(stream, THIEF) for _ in range(2))
    assert np.array_equal(first.transactions["event_time_us"], second.transactions["event_time_us"])
    assert first.labels.equals(second.labels)
