"""Whatever is emitted is watched, in a small bank that runs for real: no panel is empty, and none asks for nothing."""

from __future__ import annotations

import re
import time

import matplotlib.pyplot as plt
import pytest
import yaml

from capstone_utils.course.authoring import metrics_page
from capstone_utils.course.authoring.metrics_page import Question, families, named_in, questions, unasked, unknown
from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS, dashboard_file
from capstone_utils.monitoring.dashboards.render import render_dashboard
from capstone_utils.monitoring.prometheus.durations import shorten_windows
from capstone_utils.monitoring.prometheus.rules import CONFIG
from capstone_utils.settings import ROOT
from tests.monitoring.system import FACTOR

EMITTERS = {"fastapi_metrics": "service", "stream_worker": "worker", "feedback": "feedback"}
PANELS = [
    (f"{name}: {panel['title']}", target["expr"])
    for name, made in DASHBOARDS.items()
    for panel in made()["panels"]
    for target in panel["targets"]
]


def test_what_the_processes_emit_is_what_the_page_says(system):
    said = {
        job: {family.name for family in families() if emitter in family.emitters} for job, emitter in EMITTERS.items()
    }
    assert system.families() == said


def test_each_job_of_the_configuration_is_scraped(system):
    jobs = {job["job_name"] for job in yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["scrape_configs"]}
    assert jobs == EMITTERS.keys() == {target.job for target in system.prometheus.targets()}


def test_all_that_is_emitted_is_asked_for_and_all_that_is_asked_for_is_emitted():
    assert unasked(families(), questions()) == []
    assert unknown(families(), questions()) == []


@pytest.mark.parametrize("kind", ["panel", "runbook"])  # what a rule asks for, its entry in the runbook asks for, too
def test_a_question_less_is_found_where_it_was_the_only_one(kind):
    known, asked = families(), questions()
    askers = {family.name: [each for each in asked if named_in(each.promql) & family.series] for family in known}
    only = {name: each[0] for name, each in askers.items() if len(each) == 1 and each[0].kind == kind}
    assert only
    for name, question in only.items():
        assert name in unasked(known, [each for each in asked if each != question])


def test_a_metric_less_or_a_question_too_many_is_found(monkeypatch):
    known, asked = families(), questions()
    for family in known:
        less = unknown([each for each in known if each != family], asked)
        assert any(name in lost for lost in less for name in family.series), family.name
    assert unknown(known, [Question("panel", "x", "sum(no_such_total)")]) == ["panel x asks for no_such_total"]
    monkeypatch.setattr(metrics_page, "FOR_DEBUGGING", {"model_info": "a reason"})
    assert unknown(known, questions()) == ["model_info is listed as for debugging"]
    assert "model_info" not in unasked(known, [])


def test_an_entry_of_the_runbook_less_is_found():
    text = (ROOT / metrics_page.RUNBOOK).read_text(encoding="utf-8")
    less = re.sub(r"^## BatchTablesStale\n.*?(?=^## )", "", text, flags=re.S | re.M)
    assert unasked(families(), questions(less)) == ["batch_table_reloads"]


@pytest.mark.parametrize(("where", "promql"), PANELS)
def test_a_panels_question_has_an_answer(system, where, promql):
    filled = shorten_windows(promql, FACTOR)
    for name, value in {"$door": ".*", "$version": ".*", "$__rate_interval": "2s"}.items():
        filled = filled.replace(name, value)
    answers = system.prometheus.series(filled, system.began, system.ended, 0.5)
    assert any(series.values.notna().any() for series in answers), where


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_has_no_empty_panel(system, name):
    figure = render_dashboard(system.prometheus, dashboard_file(name), system.began, system.ended, FACTOR)
    plt.close(figure)
    shown = [text.get_text() for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]]
    assert "no data" not in shown
    assert [panel["title"] for panel in DASHBOARDS[name]()["panels"] if panel["title"] not in shown] == []


def test_the_version_that_decides_is_marked(system):
    figure = render_dashboard(system.prometheus, dashboard_file("model"), system.began - 5, time.time(), FACTOR)
    plt.close(figure)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any(re.fullmatch(r"[0-9a-f]{12} decides", text) for text in words)


def test_alerts_are_counted_by_reasons_of_the_model(system):
    reasons = system.prometheus.query("feedback_alert_reasons_total > 0")
    alerts = system.prometheus.value("sum(fraud_predictions_total)")
    assert reasons["value"].sum() == alerts > 0
    assert "unknown" not in set(reasons["reason"])
