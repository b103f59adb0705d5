"""The runbook has an entry for each alert, and each entry says what to do."""

from __future__ import annotations

import re

import pytest
import yaml

from capstone_utils.course.authoring.metrics_page import RUNBOOK, questions
from capstone_utils.monitoring.prometheus.rules import RULE_FILES
from capstone_utils.settings import ROOT

ENTRIES = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", (ROOT / RUNBOOK).read_text(encoding="utf-8"), re.S | re.M))
RULES = {
    rule["alert"]: rule
    for file in RULE_FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}


def test_every_alert_has_an_entry_and_every_entry_an_alert():
    assert list(ENTRIES) == list(RULES)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_links_to_its_entry(name):
    assert RULES[name]["annotations"]["runbook_url"].endswith(f"/blob/main/docs/runbook.md#{name.lower()}")


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_much_it_matters(name):
    assert RULES[name]["labels"]["severity"] in ({"none"} if name == "Watchdog" else {"critical", "warning"})


@pytest.mark.parametrize("name", RULES)
def test_an_entry_says_what_to_do(name):
    parts = re.findall(r"^\*\*(.+?)\.\*\*", ENTRIES[name], re.M)
    assert parts == ["Meaning", "Likely causes", "How to investigate", "Mitigation", "When to silence"]
    assert "```promql" in ENTRIES[name]


def test_every_question_of_the_runbook_is_understood_by_prometheus(prometheus):
    asked = [question.promql for question in questions() if question.kind == "runbook"]
    assert len(asked) > 60
    for promql in asked:
        prometheus.query(promql)
