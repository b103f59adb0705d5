"""The runbook has an entry for each alert; what rules, panels and runbook ask for is emitted, and all is asked for."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from prometheus_client import CollectorRegistry

from capstone_utils.monitoring.dashboards.render import DASHBOARD
from capstone_utils.monitoring.drift.metrics import DriftMetrics
from capstone_utils.monitoring.prometheus.rules import RULE_FILES
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.settings import ROOT

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.S | re.M))
ALL_RULES = [
    rule
    for file in RULE_FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
RULES = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED = {rule["record"]: rule for rule in ALL_RULES if "record" in rule}
PANELS = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
QUESTIONS = [line for block in re.findall(r"```promql\n(.*?)```", RUNBOOK, re.S) for line in block.splitlines()]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
PROMETHEUS_OWN = {"scrape_duration_seconds"}  # made by each scrape, as `up` is


FAMILIES = {
    metric.name: {metric.name + suffix for suffix in SUFFIXES[metric.type]}
    for registry in (ServiceMetrics().registry, WorkerMetrics().registry, DriftMetrics(CollectorRegistry()).registry)
    for metric in registry.collect()  # also those whose label has no value yet
}
EMITTED = set().union(RECORDED, *FAMILIES.values())


def named_in(promql: str) -> set[str]:
    """The metrics that an expression names: words with underscores that are no function, label or keyword."""
    bare = re.sub(r'"[^"]*"|\b(?:by|on|ignoring) *\([^)]*\)', "", promql)
    return set(re.findall(r"\b[a-z]+(?:[_:][a-z0-9]+)+\b(?! *\()", bare)) - {"group_left"}


def test_names_are_read_from_promql():
    promql = 'sum by (the_label) (rate(one_total{kind="not_me"}[5m])) / ignoring(le) group_left sum(two_count)'
    assert named_in(promql) == {"one_total", "two_count"}


@pytest.mark.parametrize(
    ("where", "promql"),
    [
        *((f"the rule {name}", rule["expr"]) for name, rule in (RULES | RECORDED).items()),
        *((f"the panel {panel['title']}", target["expr"]) for panel in PANELS for target in panel["targets"]),
        *(("the runbook", question) for question in QUESTIONS),
    ],
)
def test_every_metric_that_is_asked_for_is_emitted(where, promql):
    assert named_in(promql) - PROMETHEUS_OWN <= EMITTED, where


@pytest.mark.parametrize("family", FAMILIES)
def test_every_metric_that_is_emitted_is_asked_for(family):
    questions = [
        *(rule["expr"] for rule in ALL_RULES),
        *(target["expr"] for panel in PANELS for target in panel["targets"]),
        *QUESTIONS,
    ]
    assert any(named_in(promql) & FAMILIES[family] for promql in questions)


def test_the_toys_of_these_tests_emit_nothing_that_the_doors_do_not(toy, stream_toy):
    assert {metric.name for door in (toy, stream_toy) for metric in door.collect()} <= FAMILIES.keys()


def test_every_alert_has_an_entry_and_every_entry_an_alert():
    assert list(ENTRIES) == list(RULES)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_links_to_its_entry(name):
    assert RULES[name]["annotations"]["runbook_url"].endswith(f"/blob/main/docs/runbook.md#{name.lower()}")


@pytest.mark.parametrize("name", RULES)
def test_an_entry_says_what_to_do(name):
    parts = re.findall(r"^\*\*(.+?)\.\*\*", ENTRIES[name], re.M)
    assert parts == ["Meaning", "Likely causes", "How to investigate", "Mitigation", "When to silence"]
    assert "```promql" in ENTRIES[name]


def test_every_question_of_the_runbook_is_understood_by_prometheus(prometheus):
    assert len(QUESTIONS) > 15
    for question in QUESTIONS:
        prometheus.query(question)
