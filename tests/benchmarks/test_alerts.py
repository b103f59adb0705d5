"""docs/alerts.md is the table of a run, and every alert has rung in it."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.alert_causes import ROUNDS
from benchmarks.alerts import PAGE, page
from capstone_utils.course.results import load
from capstone_utils.monitoring.prometheus.rules import RULE_FILES
from capstone_utils.settings import ROOT

RULES = {
    rule["alert"]: rule
    for file in RULE_FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if rule.get("alert", "Watchdog") != "Watchdog"  # which always rings
}
KEPT = load(ROOT / "docs" / "alerts.json")


def test_every_rule_has_one_cause():
    assert sorted(rule for causes in ROUNDS for cause in causes for rule in cause.rules) == sorted(RULES)


def test_the_page_is_the_table_of_the_kept_run():
    assert page(KEPT) == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_was_seen_to_fire_and_to_resolve(name):
    assert KEPT[f"{name}_firing"].value > 0
    assert KEPT[f"{name}_resolved"].value > 0
    if "for" in RULES[name]:
        assert KEPT[f"{name}_pending"].value <= KEPT[f"{name}_firing"].value
