"""No figure of a run is typed in a notebook's prose: the run says it, so that a sentence cannot disagree with it."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.learner.recall import QUIZZES
from tests.notebooks.test_glossary import prose_of

UNITS = "%|per cent|ms|milliseconds?|s|seconds?|minutes?|hours?|days?|MB|GB|dollars?|times|a second|points"
NUMBER = re.compile(rf"(?<![\w.,/:-])(\d(?:[\d,.:]*\d)?)(?:[  ]({UNITS})\b|[  ]?(%))?")
COUNTED = 12  # so many things one may count in a sentence: no measure has so few digits and no unit
QUESTIONS = {cell_id for quiz in QUIZZES.values() for cell_id in quiz.cells}  # what they say is made up
OWN_TESTS = ("exercise-", "lab-", *QUESTIONS)  # tests hold their words to their code

# What no run measures, and why it is so.
SETTINGS = {
    "17": "the oldest Java",
    "44 MB": "what Kafka's jars weigh: fixed by their fingerprints",
    "20,000": "LIVE_SECONDS at GOAL a second",
    "20 seconds": "LIVE_SECONDS",
    "24": "the features of the spec",
    "170": "by hand: 130 - 300",
    "35": "by hand: (25 + 40 + 40) / 3",
    "5 minutes": "a window of the brief",
    "14 days": "the look-back of a daily table",
    "2014": "a year of a paper",
    "2022": "a year of a paper",
    "10,000": "a scale",
    "256": "SHA-256",
    "310285": "the thread; test_glossary holds it to the stream",
    "268": "the thread's customer",
    "200": "an HTTP status, and the brief's limit in ms",
    "200 milliseconds": "the brief's limit",
    "0.7": "an example of a probability; ln 2 of log-odds",
    "0.8": "an example of a probability",
    "70": "0.7 of 100",
    "100 %": "all",
    "8001": "a port",
    "1 ms": "a bucket's bound",
    "2.5 ms": "a bucket's bound",
    "5 %": "the limit of the brief's alert",
    "210 ms": "SlowScorer's delay",
    "0.25": "a custom of credit scoring",
}


def typed_figures(cells) -> list[str]:
    """The numbers in prose that neither a code cell of the notebook nor `SETTINGS` has."""
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code").replace("_", "")
    known = {*SETTINGS, *re.findall(r"\d+(?:\.\d+)?", code)}
    found = []
    for cell in cells:
        if cell.cell_type != "markdown" or cell.id.startswith(OWN_TESTS):
            continue
        text = re.sub(r"<details>.*?</details>|^\s*\d+\. ", "", prose_of(cell.source), flags=re.DOTALL | re.MULTILINE)
        for number, unit, percent in NUMBER.findall(text):
            whole, unit = number.replace(",", ""), unit or percent
            counted = whole.isdigit() and int(whole) <= COUNTED and not unit
            set_in_code = whole in known and unit not in ("%", "per cent")
            if not (counted or set_in_code or number in SETTINGS or f"{number} {unit}" in SETTINGS):
                found.append(f"{cell.id}: {number} {unit}".rstrip())
    return found


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_no_figure_of_a_run_is_typed(path):
    assert typed_figures(nbformat.read(path, as_version=4).cells) == []


def test_each_setting_is_used():
    pages = "\n".join(cell.source for path in notebooks() for cell in nbformat.read(path, as_version=4).cells)
    assert not [number for number in SETTINGS if number.replace(" %", "") not in pages]


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("The model reaches an F1 of 0.943.", ["0.943"]),
        ("p95 is 3.96 ms, at 1,204 a second.", ["3.96 ms", "1,204 a second"]),
        ("It catches 74 % of them, 6 days later.", ["74 %", "6 days"]),
        ("Of 513,296 payments 250 are fraud.", ["513,296", "250"]),
        ("| found | 0.51 |", ["0.51"]),
        ("Ask 400 callers, as `callers = 7_000` says.", []),  # 400 is set in the code below
        ("## Part 77\n\n1. Two of the 3 labs; [notebook 4](https://a.b/99).", []),
        ("```\n0.943\n```\n\nA window of 5 minutes.", []),
    ],
)
def test_the_lint_finds_a_typed_figure_and_only_that(prose, found):
    cells = [new_markdown_cell(prose, id="prose"), new_code_cell("callers = 400", id="code")]
    assert typed_figures(cells) == [f"prose: {each}" for each in found]
