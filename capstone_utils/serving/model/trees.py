"""A booster's own trees, evaluated without XGBoost's overhead: a payment alone costs a few microseconds, not a hundred.

The margins are XGBoost's bit for bit (a model with which they are not is refused), alone or among others, so that the
service, the stream worker and a replay years later say the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import xgboost as xgb

from capstone_utils.arrays import Booleans, Floats, Integers

BLOCK = 64  # rows that go through a tree together: it stays in the cache, and none waits for another
CHECKED_ROWS = 1000


class UnequalTrees(ValueError):
    """A booster whose margins are not what its trees say; the message says why it cannot be served."""


class Trees:
    """The trees of a booster of the objective binary:logistic.

    Raises:
        UnequalTrees: when it is another kind of booster, or when its margins differ on rows at every split's edges.
    """

    def __init__(self, booster: xgb.Booster) -> None:
        learner = json.loads(booster.save_raw("json"))["learner"]
        objective, kind = learner["objective"]["name"], learner["gradient_booster"]["name"]
        if (objective, kind) != ("binary:logistic", "gbtree"):
            raise UnequalTrees(f"a booster of {objective} by {kind}; only binary:logistic by gbtree is served")
        self.features = int(learner["learner_model_param"]["num_feature"])
        self._base = _base_margin(float(learner["learner_model_param"]["base_score"].strip("[]")))
        self._nodes = _flatten(learner["gradient_booster"]["model"]["trees"])
        self._check(booster)

    def margins(self, rows: Sequence[Sequence[float]] | Floats) -> Floats:
        """Log-odds of fraud, float32, shape (rows,), for an array of shape (rows, features); NaN is missing."""
        table = np.ascontiguousarray(rows, dtype=float)
        return np.asarray(_margins(table, *self._nodes, self._base))

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


def probabilities(margins: Floats) -> list[float]:
    """The probability of fraud for each margin: one formula, number by number, so that a batch changes no bit."""
    return [1.0 / (1.0 + math.exp(-margin)) for margin in margins.tolist()]


def _base_margin(share: float) -> np.float32:
    """The log-odds of a share, as XGBoost computes them: asked of a booster without trees, for logarithms differ."""
    nothing = xgb.DMatrix(np.zeros((1, 1)), label=[0])
    booster = xgb.train({"objective": "binary:logistic", "base_score": share}, nothing, 0)
    return np.float32(booster.inplace_predict(np.zeros((1, 1)), predict_type="margin")[0])


def _flatten(
    trees: Sequence[dict[str, Any]],
) -> tuple[Integers, Integers, Integers, Floats, Integers, Booleans, Floats]:
    """Roots, depths, and for each node: feature, cut, left child, whether missing goes left, value.

    The right child follows the left one. A leaf is its own left child, and everything goes left: so every row takes as
    many steps as the tree is deep, and no step is a jump that the processor has to guess.
    """
    roots, depths, columns = [], [], []
    start = 0
    for tree in trees:
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        leaf, place = left < 0, np.arange(len(left))
        if (right[~leaf] != left[~leaf] + 1).any() or any(tree["split_type"]):
            raise UnequalTrees("a tree whose children do not follow each other, or with categories, is not served")
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
    return (
        np.array(roots, dtype=np.uint64),
        np.array(depths),
        feature.astype(np.uint32),  # unsigned: a negative index would be another branch in each step
        cut.astype(np.float32),
        child.astype(np.uint32),
        missing_left,
        value.astype(np.float32),
    )


def _depth(left: Integers, right: Integers) -> int:
    """How many steps the deepest leaf is from the root; children stand behind their parents."""
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
