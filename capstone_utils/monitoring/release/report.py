"""The gate's report for people and for machines: Markdown, HTML with a picture, JSON."""

from __future__ import annotations

import base64
import io
import json
import math
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from capstone_utils.files import write_text
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.gate import GateReport

PASSED, FAILED = "#2f9e6e", "#d64545"
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #e0e6ed}table{border-collapse:collapse}"
    f".failed{{color:{FAILED};font-weight:600}}img{{max-width:100%}}"
)


def write_report(report: GateReport, folder: Path) -> None:
    """Write report.md, report.html and report.json into the folder, each whole or not at all.

    Raises:
        OSError: when one cannot be written.
    """
    write_text(folder / "report.json", json.dumps(to_dict(report), indent=2, allow_nan=False) + "\n")
    write_text(folder / "report.md", to_markdown(report))
    write_text(folder / "report.html", to_html(report))


def to_dict(report: GateReport) -> dict[str, Any]:
    """The report as plain values for JSON; what is no finite number is null."""
    return {
        "now": report.now,
        "champion": report.champion,
        "challenger": report.challenger,
        "passed": report.passed,
        "reason": report.reason,
        "checks": [
            {"name": each.name, "passed": bool(each.passed), "words": each.words}
            | {key: _finite(getattr(each, key)) for key in ("value", "least", "most")}
            for each in report.checks
        ],
        **{name: _records(getattr(report, name)) for name in ("compared", "kinds", "calibration")},
    }


def to_markdown(report: GateReport) -> str:
    """The report as Markdown."""
    lines = [f"# {_title(report)}", "", f"{_subtitle(report)} {report.reason}.", ""]
    lines += ["| check | value | limits | | meaning |", "|---|---|---|---|---|"]
    lines += [
        f"| {each.name} | {each.value:.4g} | {each.limits} | {_word(each)} | {each.words} |" for each in report.checks
    ]
    for title, table in _tables(report).items():
        lines += [
            "",
            f"## {title}",
            "",
            f"| | {' | '.join(map(str, table.columns))} |",
            "|---" * (table.shape[1] + 1) + "|",
        ]
        lines += [f"| {name} | {' | '.join(f'{value:,.4g}' for value in row)} |" for name, *row in table.itertuples()]
    return "\n".join(lines) + "\n"


def to_html(report: GateReport) -> str:
    """The report as one HTML page; the picture lies in it."""
    rows = "".join(
        f"<tr class='{_word(each)}'><td>{each.name}<td>{each.value:.4g}<td>{each.limits}<td>{_word(each)}"
        f"<td>{escape(each.words)}</tr>"
        for each in report.checks
    )
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{_title(report)}</title><style>{STYLE}</style>",
        f"<h1>{_title(report)}</h1><p>{_subtitle(report)} {escape(report.reason)}.</p>",
        f"<table><tr><th>check<th>value<th>limits<th><th>meaning</tr>{rows}</table>",
    ]
    if not report.compared.empty:
        picture = io.BytesIO()
        draw_report(report).savefig(picture, format="png", dpi=110)
        parts.append(f"<p><img alt='The figures below' src='data:image/png;base64,{_base64(picture)}'></p>")
    for title, table in _tables(report).items():
        parts.append(f"<h2>{title}</h2>{table.to_html(border=0, float_format='{:,.4g}'.format)}")
    return "\n".join([*parts, "</html>", ""])


def draw_report(report: GateReport) -> Figure:
    """The differences with their intervals, recall by kind of fraud, and calibration, side by side."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    gains, kinds, calibration = figure.subplots(1, 3)
    _draw_gains(gains, report.compared)
    places = np.arange(len(report.kinds))
    for shift, side in ((0.2, "champion"), (-0.2, "challenger")):
        kinds.barh(places + shift, report.kinds[side], height=0.38, label=side)
    kinds.set_yticks(places, [f"{kind} ({int(count)})" for kind, count in report.kinds["frauds"].items()])
    kinds.set(title="recall by kind, golden users", xlim=(0, 1.02))
    kinds.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    calibration.plot([0, 1], [0, 1], color="#b0bac5", linewidth=1)
    calibration.plot(report.calibration["mean_score"], report.calibration["share_of_fraud"], marker="o")
    calibration.set(title="calibration, golden users", xlabel="probability", ylabel="share of fraud")
    return figure


def _draw_gains(axes: Axes, compared: pd.DataFrame) -> None:
    """Differences of recall and precision in points."""
    shown = compared.loc[["recall", "precision"]] * 100
    for place, (_, row) in enumerate(shown.iterrows()):
        axes.plot([row["low"], row["high"]], [place, place], linewidth=3, color="#7b8794")
        axes.plot(row["difference"], place, "o", color=PASSED if row["low"] > 0 else FAILED)
    axes.axvline(0, color="#b0bac5", linewidth=1)
    axes.set_yticks(range(len(shown)), list(shown.index))
    axes.set(title="challenger less champion", xlabel="points, middle 90 %", ylim=(-0.6, len(shown) - 0.4))


def _title(report: GateReport) -> str:
    return "Challenger passed" if report.passed else "Challenger refused"


def _subtitle(report: GateReport) -> str:
    moment = datetime.fromtimestamp(report.now, UTC)
    return f"At {moment:%Y-%m-%d %H:%M} UTC of the stream, beside {report.champion or 'a champion without a version'}:"


def _tables(report: GateReport) -> dict[str, pd.DataFrame]:
    if report.compared.empty:
        return {}
    kinds = {"Recall by kind of fraud, golden users": report.kinds} if len(report.kinds) else {}
    return {
        "Both models on the deciding weeks": report.compared,
        **kinds,
        "Calibration, golden users": report.calibration,
    }


def _word(check: Check) -> str:
    return "passed" if check.passed else "failed"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _records(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    return {str(name): {key: _finite(value) for key, value in row.items()} for name, row in table.iterrows()}


def _base64(picture: io.BytesIO) -> str:
    return base64.b64encode(picture.getvalue()).decode()
