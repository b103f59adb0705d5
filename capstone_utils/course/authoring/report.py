"""Fill the documents' tables, figures and pictures from one run's committed results and notebooks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from capstone_utils.course.authoring.architecture import PACKAGE, draw_architecture
from capstone_utils.course.authoring.metrics_page import PAGE, metrics_page
from capstone_utils.course.authoring.pictures import Picture, stored_pictures
from capstone_utils.course.authoring.tables import DRIFTS, LOADS, cost_rows, drift_rows
from capstone_utils.course.results import METRICS, Figure, load, success_rows
from capstone_utils.errors import CapstoneError
from capstone_utils.files import replaced
from capstone_utils.monitoring.dashboards.catalogue import dashboard_texts
from capstone_utils.settings import ROOT

PICTURE = Path("docs") / "architecture.svg"
RESULTS = Path("docs") / "results.json"  # beside it, other .json files: runs of benchmarks, which no notebook repeats
# The text between a mark and its end holds no other mark: a mark without an end must not swallow the text after it.
TABLE = re.compile(r"(<!-- table: (\w+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
PICTURE_MARK = re.compile(r"(<!-- picture: (\w+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL)
FIGURE = re.compile(r"(<!-- figure: (\w+) -->)[^<]*(<!-- end -->)")
MARK = re.compile(r"<!-- (?:table|figure|picture):")


class ReportError(CapstoneError):
    """A document that asks for something that the results do not have, or results that are missing."""


def fill_documents(root: Path = ROOT) -> list[Path]:
    """Write the marked tables, figures and pictures below `root`; return the files that changed.

    Raises:
        ReportError: when a mark names something that was not measured.
    """
    changed = _stale(root)
    for path, content in changed.items():
        with replaced(path) as partial:
            partial.write_bytes(content)
    return list(changed)


def stale_documents(root: Path = ROOT) -> list[Path]:
    """The files below `root` that disagree with the results, the notebooks' pictures, or the code."""
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
    with replaced(root / RESULTS) as partial:
        partial.write_bytes(source.read_bytes())


def fill(text: str, figures: Mapping[str, Figure], pictures: Mapping[str, Picture], where: str) -> str:
    """The text with every mark followed by its present content: `<!-- table: NAME -->`, figure or picture.

    Raises:
        ReportError: for a name without a table, figure or picture.
    """

    def table(mark: re.Match[str]) -> str:
        if mark[2] not in TABLES:
            raise ReportError(f"{where} asks for the table {mark[2]}; there are {', '.join(TABLES)}")
        return mark[1] + TABLES[mark[2]](figures) + mark[3]

    def picture(mark: re.Match[str]) -> str:
        if mark[2] not in pictures:
            raise ReportError(f"{where} asks for the picture {mark[2]}; the notebooks have {', '.join(pictures)}")
        place = os.path.relpath(pictures[mark[2]].path, Path(where).parent)
        return f"{mark[1]}![{pictures[mark[2]].alt}]({place})\n{mark[3]}"

    def figure(mark: re.Match[str]) -> str:
        if mark[2] not in figures:
            raise ReportError(f"{where} asks for the figure {mark[2]}, which no .json file of docs/ has")
        return mark[1] + figures[mark[2]].text + mark[3]

    text, tables_filled = TABLE.subn(table, text)
    text, pictures_filled = PICTURE_MARK.subn(picture, text)
    text, figures_filled = FIGURE.subn(figure, text)
    marks = len(MARK.findall(text))
    if marks != tables_filled + pictures_filled + figures_filled:
        raise ReportError(f"{where} has {marks} marks, and some lack their `<!-- end -->` or are misspelt")
    return text


def _stale(root: Path) -> dict[Path, bytes]:
    """What each file should hold and does not: documents, pictures, and what the code says of itself."""
    pictures = stored_pictures(root)
    texts = _filled(root, pictures)
    if (root / PACKAGE).is_dir():
        texts |= {root / PICTURE: draw_architecture(root), root / PAGE: metrics_page()} | dashboard_texts()
    contents = {path: text.encode() for path, text in texts.items()}
    contents |= {root / picture.path: picture.png for picture in pictures.values()}
    return {path: content for path, content in contents.items() if not path.exists() or content != path.read_bytes()}


def _filled(root: Path, pictures: Mapping[str, Picture]) -> dict[Path, str]:
    """The text of every document with a mark, filled."""
    figures: dict[str, Figure] = {}
    for path in sorted((root / RESULTS.parent).glob("*.json")):
        figures |= load(path)
    documents = [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]
    texts = {path: path.read_text(encoding="utf-8") for path in documents}
    return {
        path: fill(text, figures, pictures, str(path.relative_to(root)))
        for path, text in texts.items()
        if MARK.search(text)
    }


def _success_metrics(figures: Mapping[str, Figure]) -> str:
    return _markdown(("metric", "goal", "measured", ""), success_rows(figures))


def _metric_definitions(_: Mapping[str, Figure]) -> str:
    rows = [(metric.title, metric.goal_text, metric.measured) for metric in METRICS.values()]
    return _markdown(("metric", "goal", "how it is measured"), rows)


def _costs(figures: Mapping[str, Figure]) -> str:
    return _markdown(("payments a second", *(f"{load:,}" for load in LOADS)), cost_rows(figures))


def _drifts(figures: Mapping[str, Figure]) -> str:
    return _markdown(("detector", "false alarms a week", *DRIFTS), drift_rows(figures))


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


TABLES = {
    "success_metrics": _success_metrics,
    "metric_definitions": _metric_definitions,
    "carrying_costs": _costs,
    "drifts": _drifts,
}
