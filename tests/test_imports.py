"""Imports point only up the list of floors, never in a circle, and the set-up imports nothing that it brings."""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from capstone_utils.settings import ROOT

PACKAGE = "capstone_utils"
FLOORS = [{"transaction", "settings", "process"}]
FLOORS += [{"ingestion"}, {"features"}, {"serving"}, {"monitoring"}, {"course"}, {"__main__", "bootstrap", "commands"}]
# They run before anything is installed, or alone beside a server.
STANDARD_ONLY = {"__main__", "bootstrap", "process", "ingestion", "ingestion.java"}


def problems(root: Path) -> list[str]:
    """What is wrong with the imports of the package below `root`, a sentence each."""
    modules = {
        _name(path.relative_to(root / PACKAGE)): ast.parse(path.read_text()) for path in (root / PACKAGE).rglob("*.py")
    }
    modules.pop("")  # the package itself has a version and no imports
    found = [f"{module} stands on no floor" for module in modules if _floor(module) is None]
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


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix("__init__").rstrip(".")


def _floor(module: str) -> int | None:
    room = module.split(".")[0]
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


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
    "ingestion/java.py": "import re",
    "ingestion/broker.py": "import kafka\nfrom capstone_utils import settings",
    "features/__init__.py": "",
    "features/online.py": "from capstone_utils.ingestion.broker import Broker",
    "bootstrap.py": "from capstone_utils.ingestion.java import f\ndef g():\n    from capstone_utils import commands",
    "commands.py": "import numpy\nfrom capstone_utils.features.online import State",
}


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("settings.py", "import os", None),
        ("features/spec.py", "from capstone_utils.features import online", None),
        ("transaction.py", "from capstone_utils.features import online", "transaction imports features.online, which"),
        ("ingestion/java.py", "def f():\n    import capstone_utils.features.online", "ingestion.java imports features"),
        (
            "ingestion/java.py",
            "from capstone_utils.ingestion import broker",
            "ingestion.java imports capstone_utils.in",
        ),
        ("ingestion/labels.py", "from capstone_utils.commands import run", "ingestion.labels imports commands, which"),
        ("bootstrap.py", "import yaml", "bootstrap imports yaml, which is neither Python's own"),
        ("bootstrap.py", "try:\n    import numpy as np\nexcept ImportError:\n    np = 0", "bootstrap imports numpy"),
        ("bootstrap.py", "from capstone_utils import commands", "bootstrap imports capstone_utils.commands, which"),
        ("ingestion/__init__.py", "import kafka", "ingestion imports kafka, which is neither"),
        ("helpers.py", "", "helpers stands on no floor"),
    ],
)
def test_the_check_finds_a_planted_fault_and_only_that(tmp_path, path, source, problem):
    _write(tmp_path, SOUND | {path: source})
    found = problems(tmp_path)
    assert [sentence[: len(problem or "")] for sentence in found] == ([problem] if problem else [])


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
