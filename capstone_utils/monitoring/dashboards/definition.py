"""Parts of a Grafana 11 dashboard, as the JSON that Grafana reads: panels, variables, and rows that fill its grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

COLUMNS = 24  # of Grafana's grid
GREEN, ORANGE, RED = "semi-dark-green", "semi-dark-orange", "semi-dark-red"
BLUE, PURPLE, YELLOW = "semi-dark-blue", "semi-dark-purple", "semi-dark-yellow"
SOURCE = {"type": "prometheus", "uid": "prometheus"}  # docker/grafana provisions it
RUNBOOK = "https://github.com/OWNER/streaming-fraud-detection/blob/main/docs/runbook.md"
RATE = "$__rate_interval"
DOOR = 'door=~"$door"'


def limits(*steps: tuple[float | None, str]) -> Json:
    """Thresholds: from each value on its color; the first value is None, for minus infinity."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def alarm(red: float, orange: float | None = None) -> Json:
    """Thresholds: green, then orange if there is such a value, and red."""
    warning = [] if orange is None else [(orange, ORANGE)]
    return limits((None, GREEN), *warning, (red, RED))


def panel(kind: str, title: str, meaning: str, queries: Sequence[tuple[str, str]], **rest: Any) -> Json:
    """A panel; `queries` are pairs of PromQL and of a legend such as `p95 {{door}}`.

    Further keyword arguments are `unit`, `thresholds`, `defaults` (of the fields), `options`, `colors` by legend,
    and `once`, to ask for the present moment alone.
    """
    defaults = {"unit": rest.get("unit", "none"), "color": rest.get("color", {"mode": "thresholds"})}
    defaults["thresholds"] = rest.get("thresholds", limits((None, BLUE)))
    return {
        "type": kind,
        "title": title,
        "description": meaning,
        "datasource": SOURCE,
        "targets": [_target(number, *each, kind, rest.get("once", False)) for number, each in enumerate(queries)],
        "fieldConfig": {
            "defaults": defaults | rest.get("defaults", {}),
            "overrides": [_fixed_color(name, color) for name, color in rest.get("colors", {}).items()],
        },
        "options": rest.get("options", {}),
        "links": [{"title": "Runbook", "url": RUNBOOK, "targetBlank": True}],
    }


def stat(title: str, meaning: str, promql: str, legend: str, **rest: Any) -> Json:
    """The last value, large; `text="name"` shows the legend in its place."""
    text = rest.pop("text", "value")
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none" if text == "name" else "area",
        "textMode": text,
    }
    return panel("stat", title, meaning, [(promql, legend)], options=options, once=text == "name", **rest)


def gauge(title: str, meaning: str, promql: str, legend: str, most: float, **rest: Any) -> Json:
    """The last value on an arc from 0 to `most`, one arc a series."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
    }
    ends = {"min": 0, "max": most}
    return panel("gauge", title, meaning, [(promql, legend)], options=options, defaults=ends, **rest)


def timeseries(title: str, meaning: str, queries: Sequence[tuple[str, str]], **rest: Any) -> Json:
    """Lines over time, from 0 on; with thresholds these are dashed lines, too."""
    look = {
        "drawStyle": "line",
        "lineWidth": 2,
        "fillOpacity": rest.pop("fill", 0),
        "showPoints": "never",
        "spanNulls": False,
        "thresholdsStyle": {"mode": "dashed" if "thresholds" in rest else "off"},
    }
    fixed = rest.pop("fixed", "")
    color = {"mode": "fixed", "fixedColor": fixed} if fixed else {"mode": "palette-classic"}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    ends = {"custom": look, "min": rest.pop("least", 0)}
    return panel("timeseries", title, meaning, queries, color=color, defaults=ends, options=options, **rest)


def bargauge(title: str, meaning: str, queries: Sequence[tuple[str, str]], **rest: Any) -> Json:
    """A bar for the last value of each series, its name beside it; a bar is full at `most`."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "valueMode": "color",
        "showUnfilled": True,
    }
    ends: Json = {"min": 0} | ({"max": rest.pop("most")} if "most" in rest else {})
    return panel("bargauge", title, meaning, queries, defaults=ends, options=options, once=True, **rest)


def state_timeline(title: str, meaning: str, promql: str, legend: str, states: dict[str, str]) -> Json:
    """A row a series; its value is the place of a word in `states`, which has a color by word."""
    words = {str(place): {"text": word, "index": place} for place, word in enumerate(states)}
    defaults = {"mappings": [{"type": "value", "options": words}], "custom": {"fillOpacity": 85, "lineWidth": 0}}
    steps = [(place or None, color) for place, color in enumerate(states.values())]
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    look = {"thresholds": limits(*steps), "defaults": defaults, "options": options}
    return panel("state-timeline", title, meaning, [(promql, legend)], **look)


def dashboard(
    uid: str,
    title: str,
    meaning: str,
    rows: Sequence[tuple[int, Sequence[int], Sequence[Json]]],
    variables: Sequence[Json],
    annotations: Sequence[Json] = (),
) -> Json:
    """A dashboard of rows: the height of each, and its panels from left to right with their widths.

    Raises:
        ValueError: for a row that does not fill the grid's width.
    """
    panels: list[Json] = []
    top = 0
    for height, widths, row in rows:
        left = 0
        for width, each in zip(widths, row, strict=True):
            panels.append({"id": len(panels) + 1, "gridPos": {"x": left, "y": top, "w": width, "h": height}} | each)
            left += width
        if left != COLUMNS:
            raise ValueError(f"the panels at y={top} of {uid} are {left} columns wide, not {COLUMNS}")
        top += height
    return {
        "uid": uid,
        "title": title,
        "description": meaning,
        "tags": ["fraud"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "editable": True,
        "graphTooltip": 1,
        "annotations": {"list": list(annotations)},
        "templating": {"list": list(variables)},
        "links": [
            {"title": "Runbook", "type": "link", "url": RUNBOOK, "icon": "doc", "targetBlank": True},
            {"title": "The other dashboards", "type": "dashboards", "tags": ["fraud"], "asDropdown": False},
        ],
        "panels": panels,
    }


def variable(name: str, meaning: str, promql: str) -> Json:
    """A choice at the top of the page, of any or all values that a question such as `label_values(x, y)` finds."""
    return {
        "name": name,
        "label": name,
        "description": meaning,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": promql, "refId": name},
        "refresh": 2,  # whenever the time range changes
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _target(number: int, promql: str, legend: str, kind: str, once: bool) -> Json:
    shape = "heatmap" if kind == "heatmap" else "time_series"
    how = {"range": not once, "instant": once, "format": shape}
    return {"refId": "ABCDEFGHIJ"[number], "datasource": SOURCE, "expr": promql, "legendFormat": legend} | how


def _fixed_color(name: str, color: str) -> Json:
    look = {"id": "color", "value": {"mode": "fixed", "fixedColor": color}}
    return {"matcher": {"id": "byName", "options": name}, "properties": [look]}
