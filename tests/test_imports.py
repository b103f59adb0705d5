"""Imports point only up the list of floors, never in a circle, and the set-up imports nothing that it brings."""

import ast
import graphlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from capstone_utils.settings import ROOT

PACKAGE = "capstone_utils"
# From the ground up. A folder's name stands for all that it holds, unless a line names a part of it: the longest fits.
FLOORS = [
    {"arrays", "errors", "transaction", "settings", "process", "files", "servers"},
    {"ingestion"},
    {"features"},
    {"serving", "serving.model"},
    {"serving.training"},
    {"serving.evaluation"},
    {"serving.score", "serving.snapshot_file", "serving.gc_pauses"},
    {"serving.service", "serving.worker"},
    {"monitoring"},
    {"course"},
    {"__main__", "bootstrap", "commands"},
]
MAX_ROOMS = 9  # modules side by side in a folder
# They run before anything is installed, or alone beside a server.
STANDARD_ONLY = {
    "__main__",
    "bootstrap",
    "errors",
    "files",
    "process",
    "ingestion",
    "ingestion.broker",
    "ingestion.broker.java",
}


def problems(root: Path) -> list[str]:
    """What is wrong with the imports of the package below `root`, a sentence each."""
    modules = {
        _name(path.relative_to(root / PACKAGE)): ast.parse(path.read_text()) for path in (root / PACKAGE).rglob("*.py")
    }
    modules.pop("")  # the package itself has a version and no imports
    found = [f"{module} stands on no floor" for module in modules if _floor(module) is None]
    found += [f"{folder} shows {number} rooms" for folder, number in _rooms(root).items() if number > MAX_ROOMS]
    graph: dict[str, set[str]] = {}
    for module, tree in modules.items():
        graph[module] = set()
        for name in _imported(module, ast.walk(tree)):
            inside = _inside(name, modules)
            if inside and inside != module:
                graph[module].add(inside)
        found += [
            f"{module} imports {other}, which stands above it"
            for other in graph[module]
            if (_floor(other) or 0) > (_floor(module) or 0)
        ]
        if module in STANDARD_ONLY:
            found += [
                f"{module} imports {name}, which is neither Python's own nor free of others"
                for name in _imported(module, _at_module_level(tree))
                if name.split(".")[0] not in sys.stdlib_module_names and _inside(name, modules) not in STANDARD_ONLY
            ]
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        found.append("a circle: " + " <- ".join(error.args[1]))
    return found


def _rooms(root: Path) -> Counter[str]:
    """Modules side by side, by folder."""
    return Counter(
        str(path.parent.relative_to(root)) for path in (root / PACKAGE).rglob("*.py") if path.name != "__init__.py"
    )


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix("__init__").rstrip(".")


def _floor(module: str) -> int | None:
    """The number of the module's floor: that of the longest name in FLOORS which the module is, or is inside of."""
    while module:
        for number, rooms in enumerate(FLOORS):
            if module in rooms:
                return number
        module = module.rpartition(".")[0]
    return None


def _imported(module: str, nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names of what is imported; `from a import b` gives a.b, whether b is a module or a name in one."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively; write the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _inside(name: str, modules: dict[str, ast.Module]) -> str | None:
    """The module of the package that an imported name is, or is in; None for other packages."""
    if not name.startswith(PACKAGE + "."):
        return None
    inside = name.removeprefix(PACKAGE + ".")
    return inside if inside in modules else inside.rpartition(".")[0]


def _at_module_level(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _at_module_level(child)


def test_the_package_keeps_to_its_floors():
    assert problems(ROOT) == []


SOUND = {
    "__init__.py": "",
    "settings.py": "import os",
    "ingestion/__init__.py": "",
    "ingestion/broker/__init__.py": "",
    "ingestion/broker/java.py": "import re",
    "ingestion/broker/broker.py": "import kafka\nfrom capstone_utils import settings",
    "features/__init__.py": "",
    "serving/score.py": "",
    "serving/training/train.py": "from capstone_utils.transaction import Transaction",
    "transaction.py": "",
    "features/online.py": "from capstone_utils.ingestion.broker.broker import Broker",
    "bootstrap.py": "from capstone_utils.ingestion.broker.java import f\n"
    "def g():\n    from capstone_utils import commands",
    "commands.py": "import numpy\nfrom capstone_utils.features.online import State",
}


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("settings.py", "import os", None),
        ("features/spec.py", "from capstone_utils.features import online", None),
        ("transaction.py", "from capstone_utils.features import online", "transaction imports features.online, which"),
        (
            "ingestion/broker/java.py",
            "def f():\n    import capstone_utils.features.online",
            "ingestion.broker.java imports features",
        ),
        (
            "ingestion/broker/java.py",
            "from capstone_utils.ingestion.broker import broker",
            "ingestion.broker.java imports capstone_utils.in",
        ),
        ("ingestion/labels.py", "from capstone_utils.commands import run", "ingestion.labels imports commands, which"),
        ("bootstrap.py", "import yaml", "bootstrap imports yaml, which is neither Python's own"),
        ("bootstrap.py", "try:\n    import numpy as np\nexcept ImportError:\n    np = 0", "bootstrap imports numpy"),
        ("bootstrap.py", "from capstone_utils import commands", "bootstrap imports capstone_utils.commands, which"),
        ("ingestion/__init__.py", "import kafka", "ingestion imports kafka, which is neither"),
        ("helpers.py", "", "helpers stands on no floor"),
        (
            "serving/model/trees.py",
            "from capstone_utils.serving import score",
            "serving.model.trees imports serving.sc",
        ),
        ("serving/worker/main.py", "from capstone_utils.serving.training import train", None),
    ],
)
def test_the_check_finds_a_planted_fault_and_only_that(tmp_path, path, source, problem):
    _write(tmp_path, SOUND | {path: source})
    found = problems(tmp_path)
    assert [sentence[: len(problem or "")] for sentence in found] == ([problem] if problem else [])


def test_the_check_counts_the_rooms_of_a_folder(tmp_path):
    _write(tmp_path, SOUND | {f"features/room{number}.py": "" for number in range(MAX_ROOMS)})
    assert problems(tmp_path) == [f"{PACKAGE}/features shows {MAX_ROOMS + 1} rooms"]


def test_the_check_finds_a_circle_also_when_one_arrow_is_inside_a_function(tmp_path):
    circle = {
        "features/a.py": "from capstone_utils.features.b import x",
        "features/b.py": "def f():\n    from capstone_utils.features.a import y",
    }
    _write(tmp_path, SOUND | circle)
    (found,) = problems(tmp_path)
    assert found.startswith("a circle: features.")


def _write(root: Path, files: dict[str, str]) -> None:
    for name, source in files.items():
        file = root / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
