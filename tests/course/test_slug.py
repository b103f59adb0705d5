"""One constant says where the repository is found, and every other place agrees with it."""

import json
import re
import shutil

import nbformat
import pytest

from capstone_utils.course.slug import SLUG, SUFFIXES, SlugError, rewrite
from capstone_utils.settings import ROOT

NAMED = re.compile(r"[A-Za-z0-9-]+/streaming-fraud-detection")
PLACES = ("README.md", "docker/prometheus/alerts.yml", "capstone_utils/course/slug.py")


@pytest.fixture
def copy(tmp_path):
    """The repository's files in which a slug may stand."""
    unwanted = shutil.ignore_patterns(".*", "build", "tests", "benchmarks", "*.png", "__pycache__")
    return shutil.copytree(ROOT, tmp_path / "copy", ignore=unwanted)


def slugs_in(root):
    files = [path for path in root.rglob("*") if path.suffix in SUFFIXES]
    return {str(path.relative_to(root)): set(NAMED.findall(path.read_text(encoding="utf-8"))) for path in files}


def test_every_place_in_the_repository_agrees(copy):
    named = {path: found for path, found in slugs_in(copy).items() if found}
    notebooks = {path for path in named if path.endswith(".ipynb")}
    assert len(notebooks) == 4
    assert {*PLACES, *notebooks} <= set(named)
    # The example in the error message is somebody else's.
    assert set.union(*named.values()) == {SLUG, "ada/streaming-fraud-detection"}


def test_rewriting_reaches_every_place_and_is_reversible(copy):
    before = {path: path.read_text(encoding="utf-8") for path in copy.rglob("*") if path.suffix in SUFFIXES}
    changed = rewrite("grace/fraud.course_2", root=copy)
    assert {str(path.relative_to(copy)) for path in changed} >= set(PLACES)
    assert not [path for path, found in slugs_in(copy).items() if SLUG in found]
    assert 'SLUG = "grace/fraud.course_2"' in (copy / "capstone_utils" / "course" / "slug.py").read_text()
    rewrite(SLUG, root=copy, present="grace/fraud.course_2")
    assert {path: path.read_text(encoding="utf-8") for path in before} == before


def test_of_a_notebook_only_the_sources_change(tmp_path):
    line = f"see https://github.com/{SLUG}.git"
    output = nbformat.v4.new_output("stream", text=line)
    cells = [nbformat.v4.new_markdown_cell(line), nbformat.v4.new_code_cell(line, outputs=[output])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "one.ipynb")
    rewrite("grace/fraud", root=tmp_path)
    markdown, code = json.loads((tmp_path / "one.ipynb").read_text())["cells"]
    assert markdown["source"] == code["source"] == ["see https://github.com/grace/fraud.git"]
    assert code["outputs"][0]["text"] == [line]


def test_other_repositories_and_longer_names_stay(tmp_path):
    others = f"my{SLUG}, {SLUG}-fork, x.{SLUG}"
    (tmp_path / "README.md").write_text(others)
    assert rewrite("grace/fraud", root=tmp_path) == []
    assert (tmp_path / "README.md").read_text() == others


@pytest.mark.parametrize(
    "slug", ["", "grace", "grace/", "/fraud", "a/b/c", "https://github.com/grace/fraud", "gr ace/x"]
)
def test_what_is_no_slug_is_refused(tmp_path, slug):
    with pytest.raises(SlugError, match=r"is not OWNER/NAME, as in ada/"):
        rewrite(slug, root=tmp_path)
