"""The plan of the package, read from its imports: floors, rooms, and the picture of both in ARCHITECTURE.md."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from capstone_utils.settings import ROOT

PACKAGE = "capstone_utils"
# From the ground up: a title, and what stands there. A folder's name stands for all that it holds, unless a line names
# a part of it: the longest name fits. Imports point down this list.
FLOORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ground", ("daemon", "errors", "files", "process", "servers", "settings", "transaction")),
    ("ingestion · notebook 1", ("ingestion",)),
    ("features · notebook 2", ("features",)),
    ("serving · notebook 3", ("serving", "serving.model")),
    ("serving · notebook 3", ("serving.training",)),
    ("serving · notebook 3", ("serving.evaluation",)),
    ("serving · notebook 3", ("serving.gc_pauses", "serving.metrics", "serving.score", "serving.snapshot_file")),
    ("serving · notebook 3", ("serving.service", "serving.worker")),
    ("monitoring · notebook 4", ("monitoring",)),
    ("course · what notebooks alone need", ("course",)),
    ("commands", ("__main__", "bootstrap", "commands")),
)
BOX, LINE, GAP = 158, 14, 12  # pixels: a box's width, a line's height, between boxes
INK, MUTED, FILL, BAND = "#1f2933", "#7b8794", "#ffffff", "#eef2f6"


def parse_modules(root: Path = ROOT) -> dict[str, ast.Module]:
    """The syntax tree of each module of the package below `root`, by dotted name without the package's."""
    base = root / PACKAGE
    names = {path: ".".join(path.relative_to(base).with_suffix("").parts) for path in sorted(base.rglob("*.py"))}
    modules = {name.removesuffix("__init__").rstrip("."): ast.parse(path.read_text()) for path, name in names.items()}
    modules.pop("", None)  # the package itself has a version and no imports
    return modules


def import_graph(modules: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """The modules of the package that each module imports, also inside functions."""
    return {
        module: {inside for name in imported(module, ast.walk(tree)) if (inside := inside_name(name, modules))}
        - {module}
        for module, tree in modules.items()
    }


def imported(module: str, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names of imports; `from a import b` gives a.b, for a module b and for a name b in a module.

    Raises:
        ValueError: for a relative import.
    """
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{module} imports relatively; write the whole name")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside_name(name: str, modules: Mapping[str, ast.Module]) -> str | None:
    """The module of the package that an imported name is, or is in; None for other packages."""
    if not name.startswith(PACKAGE + "."):
        return None
    inside = name.removeprefix(PACKAGE + ".")
    return inside if inside in modules else inside.rpartition(".")[0]


def floor_of(module: str) -> int | None:
    """The number of a module's floor in FLOORS; None when it stands on none."""
    while module:
        for number, (_, rooms) in enumerate(FLOORS):
            if module in rooms:
                return number
        module = module.rpartition(".")[0]
    return None


def draw_architecture(root: Path = ROOT) -> str:
    """The floors as an SVG picture: a band a floor with the imports from each floor below it, and a box a folder."""
    modules = parse_modules(root)
    arrows = Counter(
        (_title(module), _title(other)) for module, others in import_graph(modules).items() for other in others
    )
    titles = list(dict.fromkeys(title for title, _ in reversed(FLOORS)))
    folders = {title: _folders(title, modules) for title in titles}
    width = max(len(boxes) for boxes in folders.values()) * (BOX + GAP) + 2 * GAP
    parts, top = [], GAP
    for title, boxes in folders.items():
        height = LINE * max(len(rooms) + bool(folder) for folder, rooms in boxes.items()) + 3 * LINE + GAP
        below = [other for other in titles if other != title and (title, other) in arrows]
        imports = " · ".join(f"{other.split(' ')[0]} {arrows[title, other]}" for other in below) or "none"
        parts += _band(title, f"imports: {imports}", top, width, height)
        parts += [part for number, box in enumerate(boxes.items()) for part in _box(*box, number, top + 2 * LINE)]
        top += height + GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + GAP} {top}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="100%" height="100%" fill="{FILL}"/>', *parts, "</svg>", ""])


def _title(module: str) -> str:
    return FLOORS[floor_of(module) or 0][0]


def _folders(title: str, modules: Mapping[str, ast.Module]) -> dict[str, list[str]]:
    """The rooms of a floor by folder, in the order of FLOORS; an empty name for modules that stand in none below it."""
    here = [module for module in modules if _title(module) == title]
    leaves = [module for module in here if not any(other.startswith(module + ".") for other in here)]
    folders: dict[str, list[str]] = {}
    for module in sorted(leaves, key=lambda name: (floor_of(name) or 0, name.count(".") == 1, name)):
        folder, _, room = module.rpartition(".")
        folders.setdefault(folder.partition(".")[2].replace(".", "/"), []).append(room)
    return folders


def _band(title: str, imports: str, top: float, width: float, height: float) -> list[str]:
    rectangle = f'<rect x="{GAP}" y="{top}" width="{width - GAP}" height="{height}" rx="6" fill="{BAND}"/>'
    right = f'<text x="{width - GAP}" y="{top + 1.3 * LINE:g}" font-size="11.5" fill="{MUTED}" text-anchor="end">'
    return [rectangle, _text(2 * GAP, top + 1.3 * LINE, title, bold=True), f"{right}{escape(imports)}</text>"]


def _box(folder: str, rooms: list[str], number: int, top: float) -> list[str]:
    left, lines = 2 * GAP + number * (BOX + GAP), len(rooms) + bool(folder)
    box = f'<rect x="{left}" y="{top}" width="{BOX}" height="{(lines + 0.6) * LINE:g}" rx="4" fill="{FILL}"'
    texts = [_text(left + 8, top + LINE, f"{folder}/", bold=True)] if folder else []
    texts += [_text(left + 8, top + LINE * (1 + bool(folder) + line), room) for line, room in enumerate(rooms)]
    return [f'{box} stroke="{MUTED}" stroke-width="0.7"/>', *texts]


def _text(x: float, y: float, text: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="11.5" fill="{INK}"{weight}>{escape(text)}</text>'
