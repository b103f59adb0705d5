"""The documents say what the committed results say, and a check finds those that do not."""

import json
from base64 import b64encode

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from capstone_utils.course.authoring.report import ReportError, fill_documents, keep_results, stale_documents
from capstone_utils.course.authoring.tables import cost_rows, drift_rows
from capstone_utils.course.results import METRICS, Figure, load
from capstone_utils.settings import ROOT

README = """\
# A course

F1 was <!-- figure: f1 --><!-- end -->, and again <!-- figure: f1 -->0.5<!-- end -->.

<!-- table: success_metrics -->
| old |
<!-- end -->
The end.
"""


@pytest.fixture
def whole_run():
    """Figures of a run that measured everything."""
    return {name: {"value": 1.0, "unit": metric.unit} for name, metric in METRICS.items()}


@pytest.fixture
def root(tmp_path, whole_run):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.json").write_text(json.dumps(whole_run | {"f1": {"value": 0.9312, "unit": ""}}))
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "docs" / "plain.md").write_text("No mark here, and 0.5 stays.\n")
    return tmp_path


def test_marked_figures_and_tables_are_filled_and_nothing_else_changes(root):
    assert fill_documents(root) == [root / "README.md"]
    text = (root / "README.md").read_text()
    assert text.startswith(
        "# A course\n\nF1 was <!-- figure: f1 -->0.931<!-- end -->, and again <!-- figure: f1 -->0.931<"
    )
    assert "| F1 | above 0.9 | 0.931 | met |\n" in text
    assert "| old |" not in text
    assert text.endswith("<!-- end -->\nThe end.\n")


def test_filling_twice_changes_nothing_more(root):
    fill_documents(root)
    assert fill_documents(root) == []
    assert stale_documents(root) == []


def test_a_stale_document_is_found_and_left_as_it_is(root):
    fill_documents(root)
    stale = (root / "README.md").read_text().replace("0.931<", "0.99<", 1)
    (root / "README.md").write_text(stale)
    assert stale_documents(root) == [root / "README.md"]
    assert (root / "README.md").read_text() == stale


@pytest.mark.parametrize(
    ("mark", "complaint"),
    [
        ("<!-- picture: cat -->\n<!-- end -->", "docs/card.md asks for the picture cat; the notebooks have "),
        (
            "<!-- figure: recall --><!-- end -->",
            "docs/card.md asks for the figure recall, which no .json file of docs/",
        ),
        ("<!-- table: costs -->\n<!-- end -->", "docs/card.md asks for the table costs; there are success_metrics"),
        ("<!-- figure: f1 --> and no end", r"docs/card.md has 1 marks, and some lack their `<!-- end -->`"),
        ("<!-- figure: f1 --> lost <!-- figure: f1 --><!-- end -->", r"docs/card.md has 2 marks"),
        ("<!-- figure:f1 --><!-- end -->", r"docs/card.md has 1 marks"),
    ],
)
def test_a_mark_that_cannot_be_filled_is_named_with_its_document(root, mark, complaint):
    (root / "docs" / "card.md").write_text(mark)
    with pytest.raises(ReportError, match=complaint):
        stale_documents(root)


def test_a_picture_is_that_of_the_notebook_with_its_words(root):
    alt, png = "Two lines that part.", b64encode(b"a picture").decode()
    drawn = new_output("display_data", {"image/png": png}, metadata={"image/png": {"alt": alt}})
    notebook = new_notebook(cells=[new_code_cell("draw()", id="loop-19", outputs=[drawn])])
    (root / "notebooks").mkdir()
    (root / "notebooks" / "04_monitoring_dashboard.ipynb").write_text(nbformat.writes(notebook))
    (root / "docs" / "card.md").write_text("<!-- picture: loop -->\n<!-- end -->\n")
    assert set(fill_documents(root)) >= {root / "docs" / "card.md", root / "docs" / "pictures" / "loop.png"}
    assert (root / "docs" / "card.md").read_text() == (
        f"<!-- picture: loop -->\n![{alt}](pictures/loop.png)\n<!-- end -->\n"
    )
    assert (root / "docs" / "pictures" / "loop.png").read_bytes() == b"a picture"
    assert stale_documents(root) == []
    (root / "docs" / "pictures" / "loop.png").write_bytes(b"an older one")
    assert stale_documents(root) == [root / "docs" / "pictures" / "loop.png"]


def test_costs_follow_from_what_was_measured():
    names = ("stream_kafka_python_tps", "stream_confluent_tps", "http_score_rps")
    rows = cost_rows(dict.fromkeys(names, Figure(13_000.0)))
    assert rows[0][1:] == ("1", "10")  # 130,000 with what is to spare, by 13,000 each
    assert rows[3][1:] == ("2", "20")
    assert rows[4][1:] == ("73", "730")
    with pytest.raises(KeyError, match="stream_kafka_python_tps"):
        cost_rows({})


def test_the_results_of_a_whole_run_are_kept(root, tmp_path, whole_run):
    (tmp_path / "run.json").write_text(json.dumps(whole_run))
    keep_results(tmp_path / "run.json", root)
    assert json.loads((root / "docs" / "results.json").read_text()) == whole_run
    fill_documents(root)
    assert "F1 was <!-- figure: f1 -->1<" in (root / "README.md").read_text()


def test_the_results_of_part_of_a_run_are_refused(root, tmp_path, whole_run):
    before = (root / "docs" / "results.json").read_text()
    del whole_run["f1"]
    (tmp_path / "part.json").write_text(json.dumps(whole_run))
    for source in ("part.json", "nowhere.json"):
        with pytest.raises(ReportError, match=rf"{source} lacks .*f1.*: it is not the result of a whole run"):
            keep_results(tmp_path / source, root)
    assert (root / "docs" / "results.json").read_text() == before


def test_the_committed_documents_agree_with_the_committed_results():
    assert stale_documents(ROOT) == []


def test_a_detector_s_row_says_in_how_many_worlds_and_after_how_many_days():
    figures = load(ROOT / "docs" / "drift.json")
    rows = {row[0]: row[1:] for row in drift_rows(figures)}
    worlds, days = figures["drift_ours_cash_out_worlds"].value, figures["drift_ours_cash_out_days"].value
    assert rows["ours"][1] == f"{worlds:.0f} of {worlds:.0f}, {days:.1f} d"
    assert rows["labels"][1] == f"0 of {worlds:.0f}"
