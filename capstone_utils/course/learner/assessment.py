"""The self-assessment with what the passport has: each objective, the exercises that prove it, and those solved."""

from __future__ import annotations

import re

import pandas as pd
from pandas.io.formats.style import Styler

from capstone_utils.course.learner.passport import read_passport
from capstone_utils.settings import ROOT

PAGE = ROOT / "docs" / "self_assessment.md"
ROW = re.compile(r"^\| (?P<can>(?!I can|---).+?) \| (?P<proof>\d\.\d+(?:, \d\.\d+)*) \|$", re.MULTILINE)
ALL, SOME, NONE = "✓", "begun", "open"


def assessment() -> Styler:
    """The table that a notebook shows: a row an objective."""
    left = {"selector": "th, td", "props": "text-align: left"}
    return objectives().style.hide(axis="index").set_table_styles([left])


def objectives() -> pd.DataFrame:
    """A row for each objective: "I can ...", the exercises that prove it, the solved ones, and a mark."""
    stamps = read_passport().stamps
    rows = []
    for can, proof in ROW.findall(PAGE.read_text(encoding="utf-8")):
        numbers = proof.split(", ")
        solved = [number for number in numbers if number in stamps]
        mark = ALL if solved == numbers else SOME if solved else NONE
        rows.append((can.replace("`", ""), proof, ", ".join(solved), mark))
    return pd.DataFrame(rows, columns=["I can ...", "proof", "solved", ""])
