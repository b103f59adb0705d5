"""Fill the documents' tables and figures from one run's committed results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from capstone_utils.course.authoring.architecture import PACKAGE, draw_architecture
from capstone_utils.course.authoring.metrics_page import PAGE, metrics_page
from capstone_utils.course.results import METRICS, Figure, load, success_rows
from capstone_utils.errors import CapstoneError
from capstone_utils.files import write_text
from capstone_utils.monitoring.dashboards.catalogue import dashboard_texts
from capstone_utils.settings import ROOT

PICTURE = Path("docs") / "architecture.svg"
RESULTS = Path("docs") / "results.json"  # beside it, other .json files: runs of benchmarks, which no notebook repeats
# The text between a mark and its end holds no other mark: a mark without an end must not swallow the text after it.
TABLE = re.compile(r"(<!-- table: (\w+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- figure: (\w+) -->)[^<]*(<!-- end -->)")
MARK = re.compile(r"<!-- (?:table|figure):")


class ReportError(CapstoneError):
    """A document that asks for something that the results do not have, or results that are missing."""


def fill_documents(root: Path = ROOT) -> list[Path]:
    """Write the marked tables and figures below `root`; return the documents that changed.

    Raises:
        ReportError: when a mark names something that was not measured.
    """
    changed = _stale(root)
    for path, text in changed.items():
        write_text(path, text)
    return list(changed)


def stale_documents(root: Path = ROOT) -> list[Path]:
    """The documents below `root` that disagree with the results, and files made from the code that disagree with it."""
    return list(_stale(root))


def keep_results(source: Path, root: Path = ROOT) -> None:
    """Make a run's results the ones that the documents quote.

    Raises:
        ReportError: when that run did not measure every success metric.
    """
    figures = load(source)
    missing = [name for name in METRICS if name not in figures]
    if missing:
        raise ReportError(f"{source} lacks {', '.join(missing)}: it is not the result of a whole run")
    write_text(root / RESULTS, source.read_text(encoding="utf-8"))


def fill(text: str, figures: Mapping[str, Figure], where: str) -> str:
    """The text with every `<!-- table: NAME -->` and `<!-- figure: NAME -->` followed by its present content.

    Raises:
        ReportError: for a name without a table or figure.
    """
    tables = {"success_metrics": _success_metrics(figures), "metric_definitions": _metric_definitions()}

    def table(mark: re.Match[str]) -> str:
        if mark[2] not in tables:
            raise ReportError(f"{where} asks for the table {mark[2]}; there are {', '.join(tables)}")
        return mark[1] + tables[mark[2]] + mark[3]

    def figure(mark: re.Match[str]) -> str:
        if mark[2] not in figures:
            raise ReportError(f"{where} asks for the figure {mark[2]}, which no .json file of docs/ has")
        return mark[1] + figures[mark[2]].text + mark[3]

    text, tables_filled = TABLE.subn(table, text)
    text, figures_filled = FIGURE.subn(figure, text)
    marks = len(MARK.findall(text))
    if marks != tables_filled + figures_filled:
        raise ReportError(f"{where} has {marks} marks, and some lack their `<!-- end -->` or are misspelt")
    return text


def _stale(root: Path) -> dict[Path, str]:
    """The text that each document should have and has not; what the code says of itself is written anew, too."""
    texts = _filled(root)
    if (root / PACKAGE).is_dir():
        texts |= {root / PICTURE: draw_architecture(root), root / PAGE: metrics_page()} | dashboard_texts()
    return {path: text for path, text in texts.items() if not path.exists() or text != path.read_text(encoding="utf-8")}


def _filled(root: Path) -> dict[Path, str]:
    """The text of every document with a mark, filled."""
    figures: dict[str, Figure] = {}
    for path in sorted((root / RESULTS.parent).glob("*.json")):
        figures |= load(path)
    documents = [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]
    texts = {path: path.read_text(encoding="utf-8") for path in documents}
    return {path: fill(text, figures, str(path.relative_to(root))) for path, text in texts.items() if MARK.search(text)}


def _success_metrics(figures: Mapping[str, Figure]) -> str:
    return _markdown(("metric", "goal", "measured", ""), success_rows(figures))


def _metric_definitions() -> str:
    rows = [(metric.title, metric.goal_text, metric.measured) for metric in METRICS.values()]
    return _markdown(("metric", "goal", "how it is measured"), rows)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
