"""The dashboards by name, and the files that Grafana is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from capstone_utils.monitoring.dashboards.definition import Json
from capstone_utils.monitoring.dashboards.duty import duty
from capstone_utils.monitoring.dashboards.fraud import fraud
from capstone_utils.monitoring.dashboards.model import model

FOLDER = Path(__file__).with_name("grafana")
DASHBOARDS: Mapping[str, Callable[[], Json]] = MappingProxyType({"duty": duty, "fraud": fraud, "model": model})


def dashboard_file(name: str) -> Path:
    """The JSON file of the dashboard "duty", "fraud" or "model".

    Raises:
        ValueError: for another name.
    """
    if name not in DASHBOARDS:
        raise ValueError(f"there is no dashboard {name!r}; there are {', '.join(DASHBOARDS)}")
    return FOLDER / f"{name}.json"


def dashboard_texts() -> dict[Path, str]:
    """The text of each dashboard's file, made from the code."""
    return {dashboard_file(name): json.dumps(made(), indent=1) + "\n" for name, made in DASHBOARDS.items()}
