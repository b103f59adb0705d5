"""Keep a run's figures in docs/, from where the documents quote them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from capstone_utils.course.authoring.report import fill_documents
from capstone_utils.course.results import Figure
from capstone_utils.files import write_text
from capstone_utils.settings import ROOT


def keep(name: str, figures: Mapping[str, Figure]) -> None:
    """Write `docs/name.json` again, and the figures into the documents that quote them."""
    content = {key: asdict(figure) for key, figure in figures.items()}
    write_text(ROOT / "docs" / f"{name}.json", json.dumps(content, indent=2) + "\n")
    fill_documents()
