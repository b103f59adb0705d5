"""Pictures of the documents: those that the notebooks stored, with the words that describe them."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import NamedTuple

import nbformat

FOLDER = Path("docs") / "pictures"
# By name: the notebook's number, and the cell that draws it.
SOURCES = {
    "waiting": (1, "cell-10"),
    "models": (3, "b3ddd9bd"),
    "leak": (3, "c324195c"),
    "killed": (3, "worker-killed-run"),
    "dashboard": (4, "cell-28"),
    "loop": (4, "loop-19"),
}


class Picture(NamedTuple):
    """A stored picture: its file below the root, its bytes, and what it shows, in words."""

    path: Path
    png: bytes
    alt: str


def stored_pictures(root: Path) -> dict[str, Picture]:
    """The pictures that the notebooks below `root` have stored, by name."""
    found = {}
    cells = {
        (int(path.name[:2]), cell.id): cell
        for path in sorted((root / "notebooks").glob("0*.ipynb"))
        for cell in nbformat.read(path, as_version=4).cells
    }
    for name, place in SOURCES.items():
        for output in cells[place].outputs if place in cells else ():
            if png := output.get("data", {}).get("image/png"):
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                found[name] = Picture(FOLDER / f"{name}.png", b64decode(png), alt)
    return found
