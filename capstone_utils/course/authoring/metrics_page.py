"""docs/metrics.md, made from the code: each family of metrics, who emits it, and what asks for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml
from prometheus_client import CollectorRegistry

from capstone_utils.monitoring.dashboards.catalogue import DASHBOARDS
from capstone_utils.monitoring.feedback.metrics import FeedbackMetrics
from capstone_utils.monitoring.prometheus.rules import RULE_FILES
from capstone_utils.monitoring.release.metrics import GateMetrics
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.settings import ROOT

PAGE = Path("docs") / "metrics.md"
RUNBOOK = Path("docs") / "runbook.md"
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
OF_PROMETHEUS = {"scrape_duration_seconds"}  # made by each scrape, as `up` and `ALERTS` are, which have no underscore
FOR_DEBUGGING: Mapping[str, str] = {}  # families that nothing asks for, with the reason why they are there
KINDS = {"rule": "rule", "panel": "panel", "runbook": "runbook at"}  # of questions, in words
HEAD = """# Metrics

Each family of metrics, as the code has it: `python3 -m capstone_utils report` writes this page. A test scrapes the
running processes: each family is asked for by a panel, a rule or a line of the [runbook](runbook.md), or stands here as
"for debugging" with the reason, and none is asked for that nobody emits. Labels are bounded: `door` is http or stream,
`version` a model that decides, and the others have the few values that the code names.
"""


class Family(NamedTuple):
    """A family of metrics: its name, its type, its labels, what it means, and which processes emit it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    emitters: tuple[str, ...]

    @property
    def series(self) -> set[str]:
        """The names that its series have in PromQL."""
        return {self.name + suffix for suffix in SUFFIXES[self.kind]}


class Question(NamedTuple):
    """An expression, and who asks it: "rule", "panel" or "runbook", and its name."""

    kind: str
    name: str
    promql: str


def families() -> list[Family]:
    """Every family of the three processes, in the order of their code."""
    found: dict[str, Family] = {}
    for emitter, registry in _registries():
        for family in _described(registry, emitter):
            known = found.get(family.name)
            found[family.name] = family._replace(emitters=(*known.emitters, emitter)) if known else family
    return list(found.values())


def _registries() -> Iterator[tuple[str, CollectorRegistry]]:
    feedback = FeedbackMetrics()
    feedback.registry.register(GateMetrics(Path()))  # as the process does
    yield from (("service", ServiceMetrics().registry), ("worker", WorkerMetrics().registry))
    yield "feedback", feedback.registry


def _described(registry: CollectorRegistry, emitter: str) -> Iterator[Family]:
    for collector in registry._collector_to_names:  # prometheus_client shows names of labels to nobody
        for metric in collector.collect():
            labels = getattr(metric, "_labelnames", getattr(collector, "_labelnames", ()))
            yield Family(metric.name, metric.type, tuple(labels), metric.documentation, (emitter,))


def questions(runbook: str | None = None) -> list[Question]:
    """All that rules, panels and the runbook ask."""
    text = (ROOT / RUNBOOK).read_text(encoding="utf-8") if runbook is None else runbook
    asked = [
        Question("rule", rule.get("alert", rule.get("record")), rule["expr"])
        for file in RULE_FILES
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]
    for made in DASHBOARDS.values():
        dashboard = made()
        panels = {each["title"]: [target["expr"] for target in each["targets"]] for each in dashboard["panels"]}
        panels |= {each["name"]: [each["expr"]] for each in dashboard["annotations"]["list"]}
        asked += [Question("panel", f"{dashboard['uid']}: {title}", each) for title in panels for each in panels[title]]
    for name, entry in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.S | re.M):
        blocks = re.findall(r"```promql\n(.*?)```", entry, re.S)
        asked += [Question("runbook", name, line) for block in blocks for line in block.splitlines()]
    return asked


@cache
def named_in(promql: str) -> frozenset[str]:
    """The metrics that an expression names: words with underscores that are no function, label or keyword.

    >>> sorted(named_in('sum by (the_label) (rate(one_total{kind="not_me"}[5m])) / group_left sum(two_count)'))
    ['one_total', 'two_count']
    """
    bare = re.sub(r'"[^"]*"|\b(?:by|on|ignoring) *\([^)]*\)|\{[^}]*\}', "", promql)
    return frozenset(re.findall(r"\b[a-z]+(?:[_:][a-z0-9]+)+\b(?! *\()", bare)) - {"group_left"}


def unasked(known: Iterable[Family], asked: Iterable[Question]) -> list[str]:
    """Families that nothing asks for, and that are not listed as for debugging."""
    names = set().union(*(named_in(question.promql) for question in asked))
    return [each.name for each in known if not each.series & names and each.name not in FOR_DEBUGGING]


def unknown(known: Iterable[Family], asked: Iterable[Question]) -> list[str]:
    """Questions for what nobody emits, and families that are listed as for debugging and asked for."""
    asked, known = list(asked), list(known)
    recorded = {question.name for question in asked if question.kind == "rule" and ":" in question.name}
    emitted = OF_PROMETHEUS | recorded | set().union(*(family.series for family in known))
    names = {question: named_in(question.promql) for question in asked}
    lost = [f"{each.kind} {each.name} asks for {name}" for each in asked for name in sorted(names[each] - emitted)]
    all_names = set().union(*names.values())
    watched = [family.name for family in known if family.name in FOR_DEBUGGING and family.series & all_names]
    return lost + [f"{name} is listed as for debugging" for name in watched]


def metrics_page() -> str:
    """The page."""
    asked = questions()
    lines = [HEAD, "| metric | type | labels | meaning | emitted by | asked by |", "|---|---|---|---|---|---|"]
    for family in families():
        name = f"`{family.name}{'_total' if family.kind == 'counter' else ''}`"
        row = (name, family.kind, _labels(family), family.meaning, ", ".join(family.emitters))
        lines.append(f"| {' | '.join(row)} | {_askers(family, asked)} |")
    return "\n".join(lines) + "\n"


def _labels(family: Family) -> str:
    return ", ".join(f"`{label}`" for label in family.labels)


def _askers(family: Family, asked: Iterable[Question]) -> str:
    """The rules by name, the panels' dashboards, and the runbook's entries, the first few of them."""
    mine = [question for question in asked if family.series & named_in(question.promql)]
    by_kind = {kind: list(dict.fromkeys(each.name for each in mine if each.kind == kind)) for kind in KINDS}
    links = {
        "rule": [
            f"[{name}](runbook.md#{name.lower()})" if ":" not in name else f"`{name}`" for name in by_kind["rule"]
        ],
        "panel": [f"*{name}*" for name in by_kind["panel"]],
        "runbook": [f"[{name}](runbook.md#{name.lower()})" for name in by_kind["runbook"]],
    }
    parts = [f"{KINDS[kind]} {_few(names)}" for kind, names in links.items() if names]
    return "; ".join(parts) or f"for debugging: {FOR_DEBUGGING.get(family.name, '')}"


def _few(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
