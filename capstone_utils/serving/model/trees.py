"""A booster's own trees, evaluated without XGBoost's overhead.

The margins are XGBoost's bit for bit, for one row or for many. So the service, the stream worker and a replay years
later give the same verdicts. `XGBoostMargins` asks XGBoost itself, where they are not equal or where the booster's JSON
is of another form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import xgboost as xgb

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.arrays import Array, Floats

BLOCK = 64  # rows that go through a tree together: it stays in the cache, and none waits for another
CHECKED_ROWS = 1000


class UnequalTrees(ValueError):
    """A booster whose margins are not what its trees say; the message says why they cannot be compiled."""


class NoLogOdds(CapstoneError):
    """A booster whose margins are no log-odds, so that no probability of fraud can be made of them."""


class XGBoostMargins:
    """The margins of any booster of log-odds, slowly: XGBoost computes them, from its own reading of the model.

    Raises:
        NoLogOdds: when its predictions are not the logistic function of its margins.
    """

    def __init__(self, booster: xgb.Booster) -> None:
        self._booster = booster
        rows = np.random.default_rng(0).normal(size=(CHECKED_ROWS, booster.num_features()))
        predictions, margins = booster.inplace_predict(rows), self.margins(rows)
        if margins.shape != (len(rows),) or not np.allclose(predictions, probabilities(margins), atol=1e-6):
            raise NoLogOdds("its predictions are not the logistic function of its margins; train it as binary:logistic")

    def margins(self, rows: Sequence[Sequence[float]] | Array) -> Array:
        """Log-odds of fraud, float32, shape (rows,), for an array of shape (rows, features); NaN is missing."""
        table = np.ascontiguousarray(rows, dtype=float)
        return np.asarray(self._booster.inplace_predict(table, predict_type="margin"))


class Trees:
    """The trees of a booster of the objective binary:logistic.

    Raises:
        UnequalTrees: when it is another kind of booster, or when its margins differ on rows at every split's edges.
        Exception: of whatever kind, when its JSON is laid out in another way.
    """

    def __init__(self, booster: xgb.Booster) -> None:
        learner = json.loads(booster.save_raw("json"))["learner"]
        objective, kind = learner["objective"]["name"], learner["gradient_booster"]["name"]
        if (objective, kind) != ("binary:logistic", "gbtree"):
            raise UnequalTrees(f"a booster of {objective} by {kind}; only binary:logistic by gbtree is compiled")
        self.features = int(learner["learner_model_param"]["num_feature"])
        self._base = _base_margin(float(learner["learner_model_param"]["base_score"].strip("[]")))
        self._nodes = _flatten(learner["gradient_booster"]["model"]["trees"], self.features)
        self._check(booster)

    def margins(self, rows: Sequence[Sequence[float]] | Floats) -> Floats:
        """Log-odds of fraud, float32, shape (rows,), for an array of shape (rows, features); NaN is missing."""
        table = np.ascontiguousarray(rows, dtype=float)
        arguments: tuple[Any, ...] = (table, *self._nodes, self._base)
        return np.asarray(_margins(*arguments))

    def edges(self, count: int, seed: int = 0) -> Floats:
        """Rows of values at, just below and just above the splits of each feature, and missing ones."""
        generator = np.random.default_rng(seed)
        _, _, feature, cut, *_ = self._nodes
        columns = []
        for number in range(self.features):
            cuts = np.unique(cut[(feature == number) & np.isfinite(cut)])
            around = [np.nextafter(cuts, np.float32(to), dtype=np.float32) for to in (-np.inf, np.inf)]
            choices = np.concatenate([cuts, *around, [np.float32(0), np.float32(np.nan)]])
            columns.append(generator.choice(choices, count))
        return np.stack(columns, axis=1).astype(float)

    def _check(self, booster: xgb.Booster) -> None:
        rows = self.edges(CHECKED_ROWS)
        expected = booster.inplace_predict(rows, predict_type="margin")
        differ = int((self.margins(rows) != expected).sum())
        if differ:
            raise UnequalTrees(
                f"on {differ} of {len(rows)} rows the margins of the trees are not those of XGBoost {xgb.__version__}"
            )


def probabilities(margins: Array) -> list[float]:
    """The probability of fraud for each margin, equal alone and in a batch.

    They are computed number by number, so that a batch changes no bit.
    """
    return [1.0 / (1.0 + math.exp(-margin)) for margin in margins.tolist()]


def _base_margin(share: float) -> np.float32:
    """The log-odds of a share as XGBoost computes them.

    A booster without trees gives them: another library's logarithm may differ in the last bit.
    """
    nothing = xgb.DMatrix(np.zeros((1, 1)), label=[0])
    booster = xgb.train({"objective": "binary:logistic", "base_score": share}, nothing, 0)
    return np.float32(booster.inplace_predict(np.zeros((1, 1)), predict_type="margin")[0])


def _flatten(trees: Sequence[dict[str, Any]], features: int) -> tuple[Array, ...]:
    """Roots, depths, and for each node: feature, cut, left child, a flag that missing goes left, value.

    The right child follows the left one. A leaf is its own left child, and everything goes left there. So every row
    takes as many steps as the tree is deep, and no step is a branch that the processor has to predict.
    """
    roots, depths, columns = [], [], []
    start = 0
    for tree in trees:
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        leaf, place = left < 0, np.arange(len(left))
        if (right[~leaf] != left[~leaf] + 1).any() or any(tree["split_type"]):
            raise UnequalTrees("a tree whose children do not follow each other, or with categories, is not compiled")
        if (left[~leaf] <= place[~leaf]).any() or right.max() >= len(left):
            raise UnequalTrees("a tree with a child that does not stand behind its parent is not compiled")
        value = np.array(tree["split_conditions"], dtype=np.float32)
        roots.append(start)
        depths.append(_depth(left, right))
        columns.append(
            (
                np.where(leaf, 0, tree["split_indices"]),
                np.where(leaf, np.float32(np.inf), value),
                np.where(leaf, place, left) + start,
                leaf | np.array(tree["default_left"], dtype=bool),
                np.where(leaf, value, np.float32(0)),
            )
        )
        start += len(left)
    feature, cut, child, missing_left, value = (np.concatenate(column) for column in zip(*columns, strict=True))
    if feature.min() < 0 or feature.max() >= features:
        raise UnequalTrees(f"a tree that splits by a feature beyond the {features} there are is not compiled")
    return (
        np.array(roots, dtype=np.uint64),
        np.array(depths),
        feature.astype(np.uint32),  # unsigned: a negative index would be another branch in each step
        cut.astype(np.float32),
        child.astype(np.uint32),
        missing_left,
        value.astype(np.float32),
    )


def _depth(left: Array, right: Array) -> int:
    """The steps from the root to the deepest leaf.

    Children stand behind their parents.
    """
    depth = np.zeros(len(left), dtype=int)
    for node in np.flatnonzero(left >= 0):
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    return int(depth.max())


@numba.njit(cache=True, nogil=True)
def _margins(rows, roots, depths, feature, cut, child, missing_left, value, base):  # type: ignore[no-untyped-def]
    count, width = rows.shape
    margins = np.full(count, base, np.float32)
    block = np.empty(BLOCK * width, np.float32)
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        for row in range(size):
            for column in range(width):
                block[row * width + column] = rows[first + row, column]
        for tree in range(len(roots)):  # in XGBoost's order: float32 sums depend on it
            for row in range(size):
                node, offset = roots[tree], np.uint64(row * width)
                for _ in range(depths[tree]):
                    x = block[offset + feature[node]]
                    left = (x < cut[node]) | ((x != x) & missing_left[node])
                    node = child[node] + np.uint64(not left)
                margins[first + row] += value[node]
    return margins
