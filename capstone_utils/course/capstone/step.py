"""One step of a project's check: what was found, in a sentence, and how many points of the rubric it gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step's outcome. `detail` is Markdown for the report; `points` are those that a machine can give."""

    name: str
    passed: bool
    words: str
    detail: str = ""
    points: int = 0
