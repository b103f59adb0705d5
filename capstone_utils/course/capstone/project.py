"""A learner's project: one Python file that says what it tries, and computes one feature twice."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import pandas as pd

from capstone_utils.course.capstone.thief import Thief
from capstone_utils.errors import CapstoneError
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC, FeatureSpec, State, Window
from capstone_utils.ingestion.arrays import Floats
from capstone_utils.transaction import Transaction

NAME = re.compile(r"[a-z][a-z0-9_]{2,40}")


class InvalidProject(CapstoneError):
    """A file that is no project; names what is missing or wrong, and what would be right."""


class Online(Protocol):
    """The feature online: a state that takes one transaction after the other."""

    def update(self, transaction: Transaction) -> float:
        """The feature of this transaction, from it and all that came before."""


@dataclass(frozen=True)
class Project:
    """A project's feature, both ways, with the words and the query that go with it."""

    path: Path
    module: ModuleType
    name: str
    words: str
    online: Callable[[], Online]
    offline: Callable[[pd.DataFrame], Any]
    watch: str = ""
    thief: Thief | None = None

    def values(self, transactions: pd.DataFrame) -> Floats:
        """The feature offline, shape (rows,); `transactions` in order of arrival, texts as plain strings.

        Raises:
            InvalidProject: when the project's code raises, or returns something else than one number a row.
        """
        try:
            values: Floats = np.asarray(self.offline(transactions.copy()), dtype=float)
        except Exception as error:  # of the learner's code, whatever it is
            raise InvalidProject(f"offline() raised {type(error).__name__}: {error}") from error
        if values.shape != (len(transactions),):
            raise InvalidProject(
                f"offline() returned shape {values.shape} for {len(transactions):,} payments; one number each is right"
            )
        return values

    def start(self) -> Callable[[Transaction], float]:
        """A fresh state's `update`, whose errors name the transaction.

        Raises:
            InvalidProject: when the project's code raises.
        """
        state = self.online()

        def update(transaction: Transaction) -> float:
            try:
                return float(state.update(transaction))
            except Exception as error:  # of the learner's code, whatever it is
                place = f"at transaction {transaction.transaction_id}"
                raise InvalidProject(f"Online.update raised {type(error).__name__} {place}: {error}") from error

        return update


def read_project(path: Path) -> Project:
    """The project in a file: its docstring, NAME, and FEATURE or both Online and offline; perhaps WATCH and THIEF.

    Raises:
        InvalidProject: naming what is missing or wrong.
    """
    module = _run(path)
    name = getattr(module, "NAME", "")
    declared = getattr(module, "FEATURE", None)
    if declared is not None:
        name = declared.name if isinstance(declared, Window | State) else ""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in SPEC.names:
        raise InvalidProject(
            f'{path} has NAME={name!r}; a name of its own in small letters is right, such as "device_age_hours"'
        )
    online, offline = (getattr(module, part, None) for part in ("Online", "offline"))
    if declared is not None:
        online, offline = _declared(declared)
    if not callable(online) or not callable(offline):
        raise InvalidProject(f"{path} needs a class Online and a function offline, or a FEATURE of the spec")
    thief = getattr(module, "THIEF", None)
    if not isinstance(thief, Thief | None):
        raise InvalidProject(f"{path} has THIEF={thief!r}; a Thief(...) is right")
    words, watch = module.__doc__ or "", str(getattr(module, "WATCH", ""))
    return Project(path, module, name, words, online, offline, watch, thief)


def _run(path: Path) -> ModuleType:
    """The file as a module; it runs, as any Python file that is imported."""
    spec = spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InvalidProject(f"{path} is no Python file; name your my_feature.py")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # of the learner's code, whatever it is
        raise InvalidProject(f"{path} raised {type(error).__name__} when it was read: {error}") from error
    return module


def _declared(feature: Window | State) -> tuple[Callable[[], Online], Callable[[pd.DataFrame], Any]]:
    """Both ways of a feature that the spec can compute."""
    if isinstance(feature, Window) and feature.aggregate == "fraud_rate":
        raise InvalidProject(f"{feature.name} needs labels; a project's feature is made from payments alone")
    spec = FeatureSpec((feature,))

    class Declared:
        def __init__(self) -> None:
            self.features = OnlineFeatures(spec)

        def update(self, transaction: Transaction) -> float:
            features = self.features.update(transaction)
            return math.nan if features is None else features[0]

    return Declared, lambda transactions: offline_features(transactions, spec)[feature.name]
