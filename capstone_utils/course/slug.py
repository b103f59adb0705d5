"""Under which OWNER/NAME the repository is found: one constant, and the places that must say the same."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat

from capstone_utils.course.results import write_atomically
from capstone_utils.settings import ROOT

SLUG = "OWNER/streaming-fraud-detection"
VALID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
SUFFIXES = {".md", ".ipynb", ".toml", ".yml", ".yaml", ".json", ".py"}
NOT_OURS = {"build", "tests"}  # and every folder that begins with a dot, except .github; tests have names of their own


class SlugError(ValueError):
    """Something that is no OWNER/NAME."""


def rewrite(slug: str, root: Path = ROOT, present: str = SLUG) -> list[Path]:
    """The files changed so that they say `slug` where they said `present`; of notebooks only the sources are touched.

    Raises:
        SlugError: when `slug` is not of the form OWNER/NAME.
    """
    if not VALID.fullmatch(slug):
        raise SlugError(f"{slug} is not OWNER/NAME, as in ada/streaming-fraud-detection")
    changed = []
    for path in _files(root):
        old = path.read_text(encoding="utf-8")
        new = _in_notebook(old, present, slug) if path.suffix == ".ipynb" else _replaced(old, present, slug)
        if new != old:
            write_atomically(path, new)
            changed.append(path)
    return changed


def _files(root: Path) -> list[Path]:
    files = []
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name == ".github" or not (name.startswith(".") or name in NOT_OURS)]
        files += [Path(folder, name) for name in names if Path(name).suffix in SUFFIXES]
    return sorted(files)


def _replaced(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", new, text)


def _in_notebook(text: str, old: str, new: str) -> str:
    """The notebook, written as Jupyter writes it, with the sources of its cells changed; `text` when none says it."""
    notebook = nbformat.reads(text, as_version=4)
    before = [cell.source for cell in notebook.cells]
    for cell in notebook.cells:
        cell.source = _replaced(cell.source, old, new)
    changed = [cell.source for cell in notebook.cells] != before
    return f"{nbformat.writes(notebook)}\n" if changed else text
