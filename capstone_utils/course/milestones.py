"""The table that ends a notebook: its milestones, ticked by checks.

A milestone is ticked only if its check ran in that notebook and held.
"""

from __future__ import annotations

from html import escape

MILESTONES = {
    "data_ingestion_pipeline": (
        "Kafka installed and running",
        "stream simulated in real time",
        "producer and consumer functional",
    ),
    "real_time_feature_engineering": (
        "stream consumed in real time",
        "instant fraud features built",
        "enriched transactions saved",
    ),
    "model_serving_fastapi": (
        "model trained and serialised",
        "FastAPI deployed locally",
        "real-time inference tested",
    ),
    "monitoring_dashboard": (
        "metrics integrated",
        "dashboards in real time",
        "alerts configured",
        "model kept up to date",
    ),
}
MET, UNMET = "\u2713", "unmet"


class Milestones:
    """A notebook's milestones with the results of their checks so far.

    >>> milestones = Milestones("monitoring_dashboard")
    >>> milestones.check("metrics integrated", True, "Prometheus scrapes the service")
    >>> milestones.check("alerts configured", False, "no alert fired")
    >>> milestones.table()
    ✓      metrics integrated       Prometheus scrapes the service
    unmet  dashboards in real time  its check did not run
    unmet  alerts configured        no alert fired
    unmet  model kept up to date    its check did not run
    """

    def __init__(self, notebook: str) -> None:
        self._seen = dict.fromkeys(MILESTONES[notebook], (False, "its check did not run"))

    def check(self, milestone: str, met: object, seen: str) -> None:
        """Note a milestone as met or unmet, with what was seen.

        An unmet one shows in the table and stops nothing.

        Raises:
            ValueError: when it is none of the notebook's milestones.
        """
        if milestone not in self._seen:
            raise ValueError(f"{milestone!r} is none of this notebook's milestones: {', '.join(self._seen)}")
        self._seen[milestone] = (bool(met), seen)

    def table(self) -> MilestoneTable:
        """The table that a notebook shows when this is the last expression of a cell."""
        return MilestoneTable((name, met, seen) for name, (met, seen) in self._seen.items())


class MilestoneTable(list[tuple[str, bool, str]]):
    """Rows of (milestone, met, what was seen): an HTML table in a notebook, aligned text elsewhere."""

    def __repr__(self) -> str:
        width = max(len(name) for name, _, _ in self)
        return "\n".join(f"{MET if met else UNMET:<6} {name:<{width}}  {seen}" for name, met, seen in self)

    def _repr_html_(self) -> str:
        lines = ["<table><tr><th></th><th>milestone</th><th>seen in this run</th></tr>"]
        for name, met, seen in self:
            tick = f'<b style="color:#2f8f5b">{MET}</b>' if met else f'<b style="color:#c8382e">{UNMET}</b>'
            cells = "".join(f'<td style="text-align:left">{cell}</td>' for cell in (tick, escape(name), escape(seen)))
            lines.append(f"<tr>{cells}</tr>")
        return "\n".join([*lines, "</table>"])
