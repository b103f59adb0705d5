"""Imports point only up the list of floors, never in a circle, and the set-up imports nothing that it brings."""

import ast
import graphlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from capstone_utils.course.authoring.architecture import (
    PACKAGE,
    floor_of,
    import_graph,
    imported,
    inside_name,
    parse_modules,
)
from capstone_utils.settings import ROOT

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
    modules = parse_modules(root)
    graph = import_graph(modules)
    found = [f"{module} stands on no floor" for module in modules if floor_of(module) is None]
    found += [f"{folder} shows {number} rooms" for folder, number in _rooms(root).items() if number > MAX_ROOMS]
    for module, tree in modules.items():
        found += [
            f"{module} imports {other}, which stands above it"
            for other in graph[module]
            if (floor_of(other) or 0) > (floor_of(module) or 0)
        ]
        if module in STANDARD_ONLY:
            found += [
                f"{module} imports {name}, which is neither Python's own nor free of others"
                for name in imported(module, _at_module_level(tree))
                if name.split(".")[0] not in sys.stdlib_module_names and inside_name(name, modules) not in STANDARD_ONLY
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


def test_a_module_of_the_tests_changes_nothing_of_the_package_when_it_is_imported():
    changes = [
        f"{path.relative_to(ROOT)}, line {statement.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Attribute) for target in statement.targets)
    ]
    assert changes == []  # pytest imports each of them, whatever is tested


def _write(root: Path, files: dict[str, str]) -> None:
    for name, source in files.items():
        file = root / PACKAGE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
