"""An error that a user can mend is a CapstoneError; any other shows its traceback."""

import ast

from capstone_utils.settings import ROOT

BUILT_IN = {"Exception", "RuntimeError", "ValueError", "OSError", "LookupError", "TypeError", "KeyError"}
# They never end a command: the parts named catch each of them.
INSIDE = {
    "Problem": "serving/service: an HTTP response",
    "Lost": "serving/worker: a batch that is read again",
    "UnequalTrees": "serving/model: a booster that the compiled trees do not reproduce",
    "Refused": "course/labs: steps that the clients or the broker would not take",
}


def test_every_error_class_is_one_that_a_user_can_mend_or_never_leaves_its_part():
    bases = {}
    for path in (ROOT / "capstone_utils").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {ast.unparse(base) for base in node.bases}
    errors = {name for name, names in bases.items() if names & BUILT_IN and "CapstoneError" not in names}
    assert errors - {"CapstoneError"} <= INSIDE.keys()
