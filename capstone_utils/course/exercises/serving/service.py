"""Exercises of notebook 3 on the exported model and on the service."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from capstone_utils.course.exercises.exercise import Exercise, Wrong


class Caller(Protocol):
    """What the exercise needs of httpx.Client."""

    def post(self, path: str, *, content: bytes | str = ..., json: Any = ...) -> Any:
        """The response."""


def _tampered(tampered: Callable[[Path], Iterable[str] | None], folder: Path) -> str | None:
    untried = True
    for name in ("", *sorted(path.name for path in folder.glob("*model.json"))):
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(shutil.copytree(folder, Path(scratch) / "model"))
            if name:
                text = (copy / name).read_text()
                (copy / name).write_text(text.replace("1", "2", 1))
            found = tampered(copy)
        if found is None:
            continue
        untried = False
        if not isinstance(found, (list, set, tuple)):
            return f"A list of names is asked for; this is a {type(found).__name__}."
        if set(found) != {name} - {""}:
            return _why_tampered(sorted(found), name)
    return None if untried else ""


def _why_tampered(found: list[str], name: str) -> str:
    if name and name not in found:
        return f"One character of {name} was changed, its length was not, and you found {found or 'nothing'}."
    honest = next(each for each in found if each != name)
    return f"{honest} was not changed, but your fingerprint of it is another one than the manifest's."


def _refused(bodies: Sequence[Mapping[str, Any]], caller: Caller) -> str:
    if len(bodies) != 3:
        return f"Three bodies are asked for; yours are {len(bodies)}."
    fields = []
    for body in bodies:
        response = caller.post("/score", content=body) if isinstance(body, str) else caller.post("/score", json=body)
        if response.status_code == 200:
            return f"200: the service accepted {str(body)[:60]}..., and it is part of the history now."
        if response.status_code != 422:
            return f"{response.status_code} for {str(body)[:60]}...; 422 says that a field is wrong."
        fields.append(str(response.json()["detail"]).partition("=")[0].split()[0])
    if len(set(fields)) < 3:
        return f"The fields at fault were {', '.join(fields)}. Three different ones are asked for."
    return ""


EXERCISES = (
    Exercise(
        id="3.9",
        objective="O3.5",
        stars=2,
        task="""Find the file that somebody changed. `manifest.json` names for each model its file and the SHA-256
of its bytes. Return the names of the files whose bytes have another one.""",
        starter="""def tampered(folder):
    return None  # <- names of files""",
        call='check("3.9", tampered, folder=exported.parent)',
        solution="""import hashlib
import json


def tampered(folder):
    models = json.loads((folder / "manifest.json").read_text())["models"].values()
    return [each["file"] for each in models
            if hashlib.sha256((folder / each["file"]).read_bytes()).hexdigest() != each["sha256"]]""",
        praise="The loader does exactly this before it uses a single byte.",
        hints=(
            '`json.loads((folder / "manifest.json").read_text())["models"]` has "file" and "sha256" for each.',
            "`hashlib.sha256(path.read_bytes()).hexdigest()` is a file's fingerprint.",
        ),
        wrong=(
            Wrong(
                """sizes = {path.name: path.stat().st_size for path in exported.parent.iterdir()}


def tampered(folder):
    return [path.name for path in folder.iterdir() if path.stat().st_size != sizes[path.name]]""",
                "One character of fraud_detection_model.json was changed, its length was not",
            ),
            Wrong(
                """import json


def tampered(folder):
    models = json.loads((folder / "manifest.json").read_text())["models"].values()
    return [m["file"] for m in models if str(hash((folder / m["file"]).read_bytes())) != m["sha256"]]""",
                "fraud_detection_model.json was not changed",
            ),
            Wrong(
                """def tampered(folder):
    return False""",
                "A list of names is asked for; this is a bool.",
            ),
        ),
        check=_tampered,
    ),
    Exercise(
        id="3.10",
        objective="O3.6",
        stars=2,
        task="""Make `/score` say 422 three times, each time because of **another field**. Write three bodies; begin
with `good`, a payment that would be accepted.""",
        starter="""bodies = None  # <- three dictionaries""",
        call='check("3.10", bodies, caller=caller)',
        solution="""bodies = [{**good, "amount": "much"}, {**good, "location": None}, {**good, "user_id": -1}]""",
        praise="Each refusal names the field, the value and what would be right; and nothing has changed.",
        hints=(
            '`{**good, "amount": "much"}` is a copy with one field changed.',
            "Which fields has a payment?",
        ),
        wrong=(
            Wrong(
                """bodies = [{**good, "amount": 1.5}, {**good, "location": None}, {**good, "user_id": -1}]""",
                "200: the service accepted",
            ),
            Wrong(
                """bodies = [{**good, "amount": "much"}, {**good, "amount": None}, {**good, "amount": 0.001}]""",
                "The fields at fault were amount, amount, amount.",
            ),
            Wrong('bodies = [{"amount": "much"}]', "Three bodies are asked for; yours are 1."),
        ),
        check=_refused,
    ),
)
