"""Two worked examples go through every step of the capstone's check; four bad ones are refused, each where it fails."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from capstone_utils.__main__ import main
from capstone_utils.course.capstone import check_project
from capstone_utils.course.capstone.check import RUBRIC, Report
from capstone_utils.course.capstone.worlds import SMALL
from capstone_utils.settings import ROOT

WORKED = ROOT / "docs" / "capstone"
BAD = Path(__file__).parent / "examples"
STEPS = ["say", "code", "no future", "parity", "value", "speed", "gate", "watch"]


@pytest.fixture
def check(tmp_path) -> Callable[..., Report]:
    """A check of a copy of a file, in small worlds; the report is written beside the copy."""
    return lambda path, scale=SMALL: check_project(shutil.copy(path, tmp_path / path.name), scale)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "step", "sentence"),
    [
        ("leaking", "no future", "get another value when the payments after them are taken away"),
        ("online_bug", "parity", "payments with late ones differ; the first is transaction"),
        ("useless", "value", "no gain that chance does not explain"),
        ("slow", "speed", "at most 10 microseconds"),
    ],
)
def test_a_bad_feature_is_refused_where_it_fails_and_told_why(check, name, step, sentence):
    report = check(BAD / f"{name}.py")
    assert report.refused_at == step
    assert sentence in report.steps[-1].words
    assert report.steps[-1].words in report.path.read_text()


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(
    ("name", "scale", "weighed"),
    [
        ("my_feature", SMALL, "validating_frauds"),
        ("my_thief", replace(SMALL, customers=400, seeds=SMALL.seeds[:2]), "gain"),
    ],
    ids=["my_feature", "my_thief"],
)
def test_a_worked_example_takes_every_step(check, name, scale, weighed):
    report = check(WORKED / f"{name}.py", scale)
    assert [step.name for step in report.steps] == STEPS
    assert [step.name for step in report.steps if not step.passed] == []
    assert sum(step.points for step in report.steps) == 70
    text = report.path.read_text()
    assert f"| {weighed} |" in text, "the gate got as far as there were labels for"
    assert report.project.words.strip() in text
    assert all(f"| {row} | {most} |" in text for row, (most, _) in RUBRIC.items())
    assert ("Before any label of this thief" in text) == (name == "my_thief")


def test_the_rubric_gives_a_hundred_points():
    assert sum(most for most, _ in RUBRIC.values()) == 100


def test_the_page_names_the_steps_and_the_refusals_as_they_are():
    page = (WORKED / "README.md").read_text()
    table = page.partition("| step |")[2].partition("\n\n")[0]
    assert [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:]] == STEPS
    assert all(f"| {path.name} |" in page for path in BAD.glob("*.py"))


def test_the_command_names_a_file_that_is_no_project(tmp_path, capsys):
    path = tmp_path / "my_feature.py"
    path.write_text('"""Words."""\nNAME = "Big Letters"\n')
    assert main(["project", "check", str(path)], own_environment=False) == 1
    assert "a name of its own in small letters" in capsys.readouterr().err
