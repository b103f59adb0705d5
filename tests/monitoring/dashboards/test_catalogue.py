"""The dashboards' files: as the code makes them, within Grafana's grid, schema and units, and Prometheus' 2.31."""

from __future__ import annotations

import json
import re

import grafana_foundation_sdk.models.units as units
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from capstone_utils.course.authoring.metrics_page import questions
from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS, FOLDER, dashboard_file, dashboard_texts
from capstone_utils.monitoring.dashboards.definition import dashboard, stat
from capstone_utils.monitoring.dashboards.panels.panel import COLORS
from capstone_utils.monitoring.dashboards.render import DRAW
from capstone_utils.settings import ROOT

MADE = {name: made() for name, made in DASHBOARDS.items()}
PANELS = [(f"{name}: {panel['title']}", panel) for name, each in MADE.items() for panel in each["panels"]]
# All of them are older than Prometheus 2.31, which Colab's distribution has.
FUNCTIONS = {
    *("sum", "max", "min", "count", "topk", "abs", "rate", "increase", "histogram_quantile", "vector", "label_replace"),
    *("deriv", "changes", "absent", "time", "min_over_time"),
}
KEYWORDS = {"by", "on", "ignoring", "and", "or", "unless", "offset", "group_left"}


def ids(panels):
    return [name for name, _ in panels]


@pytest.mark.parametrize("path", dashboard_texts(), ids=lambda path: path.stem)
def test_a_file_is_what_the_code_makes(path):
    assert path.read_text(encoding="utf-8") == dashboard_texts()[path], "run: python3 -m capstone_utils report"


def test_no_other_file_lies_beside_them():
    assert {path.stem for path in FOLDER.iterdir()} == DASHBOARDS.keys()
    with pytest.raises(ValueError, match="there is no dashboard 'money'; there are duty, fraud, model"):
        dashboard_file("money")


def kept(ours, theirs, where="") -> list[str]:
    """Where something of ours is missing or otherwise in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [lost for key in ours for lost in kept(ours[key], theirs.get(key, "nothing"), f"{where}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [lost for number, each in enumerate(ours) for lost in kept(each, theirs[number], f"{where}[{number}]")]
    return [] if ours == theirs else [f"{where} is {ours!r}, and {theirs!r} of Grafana's schema"]


def through_the_schema(made: dict) -> dict:
    """What is left of a dashboard when Grafana's own types have read and written it."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder))


@pytest.mark.parametrize("name", MADE)
def test_grafanas_schema_knows_every_field(name):
    lost = kept(MADE[name], through_the_schema(json.loads(json.dumps(MADE[name]))))
    own = ("titleFormat", "step")  # of the data source's annotations, which the schema leaves to it
    assert [each for each in lost if each.split()[0].rpartition(".")[2] not in own] == []


def test_a_field_that_grafana_does_not_know_would_be_found():
    made = json.loads(json.dumps(MADE["duty"]))
    made["panels"][0]["options"]["grphMode"] = "area"
    assert kept(made, through_the_schema(json.loads(json.dumps(made)))) == [
        ".panels[0].options.grphMode is 'area', and 'nothing' of Grafana's schema"
    ]


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=ids(PANELS))
def test_a_panel_has_words_a_known_unit_thresholds_and_a_way_to_the_runbook(name, panel):
    assert panel["description"].endswith(".")
    known = {value for key, value in vars(units).items() if isinstance(value, str) and not key.startswith("_")}
    assert panel["fieldConfig"]["defaults"]["unit"] in known
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[0]["value"] is None
    assert {step["color"] for step in steps} <= COLORS.keys()
    assert [step["value"] for step in steps[1:]] == sorted(step["value"] for step in steps[1:])
    assert panel["links"][0]["url"].endswith("docs/runbook.md")
    assert panel["type"] in DRAW


@pytest.mark.parametrize("name", MADE)
def test_panels_fill_the_grid_without_overlap(name):
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in MADE[name]["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    rows = max(y for _, y in cells) + 1
    assert sorted(cells) == sorted((x, y) for x in range(24) for y in range(rows))


def test_a_row_that_does_not_fill_the_grid_is_refused():
    row = (5, [4], [stat("One", "One.", "up", "up")])
    with pytest.raises(ValueError, match="the panels at y=0 of short are 4 columns wide, not 24"):
        dashboard("short", "", "", [row], [])


def test_rules_panels_and_runbook_use_what_prometheus_2_31_knows():
    for question in questions():
        bare = re.sub(r'"[^"]*"', '""', question.promql)
        assert set(re.findall(r"\b([a-z_]+) *\(", bare)) - KEYWORDS <= FUNCTIONS, question
        assert "@" not in bare, question


@pytest.mark.parametrize("name", MADE)
def test_variables_are_used_and_those_used_are_there(name):
    there = {f"${each['name']}" for each in MADE[name]["templating"]["list"]}
    used = set(re.findall(r"\$(?!__)\w+", json.dumps([MADE[name]["panels"], MADE[name]["annotations"]])))
    assert used == there


def test_a_bank_can_name_each_dashboard_apart():
    assert len({(made["uid"], made["title"]) for made in MADE.values()}) == len(MADE)
    titles = [panel["title"] for made in MADE.values() for panel in made["panels"]]
    assert len(titles) == len(set(titles))
    assert dashboard_file("duty").is_relative_to(ROOT)
