"""History features over a whole arrival log, one user after the other, compiled by numba."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from capstone_utils.features.offline.windows import DUPLICATE, TOO_LATE
from capstone_utils.features.spec import HISTORY
from capstone_utils.ingestion.arrays import Array, Floats, Integers


def history_values(
    users: Integers,
    status: Integers,
    facts: Integers,
    codes: Integers,
    places: Integers,
    distances: Floats,
    max_values: int,
) -> tuple[dict[str, Array], Array]:
    """The values of each kind in HISTORY, shape (n,), and the columns' first-seen flags, 1.0 or 0.0, (columns, n).

    users, status (n,) and facts (3, n): as for `window_values`. codes (columns, n): the values to remember, at most
    `max_values` per column; beyond that, the value known longest is forgotten. places (n,): positions in `distances`,
    which is in kilometres. The result is NaN for a duplicate, and where there is no history.
    """
    columns = len(codes)
    values = {kind: np.full(len(users), np.nan) for kind in HISTORY}
    flags = np.full((columns, len(users)), np.nan)
    known = np.zeros((columns, codes.max(initial=0) + 1), np.bool_)
    queue, head_and_size = np.zeros((columns, max_values + 1), np.int64), np.zeros((columns, 2), np.int64)
    order = np.argsort(users, kind="stable")
    history = values["seconds_since_last"], values["speed_kmh"], values["amount_ratio"]
    _walk(order, users, status, facts, codes, places, distances, known, queue, head_and_size, history, flags)
    return values, flags


@njit(cache=True)
def _walk(order, users, status, facts, codes, places, distances, known, queue, head_and_size, history, flags):
    """Fill `history` and `flags`. The arrays from `known` to `head_and_size` are working memory."""
    since_last, speed, ratio = history
    user, last, count, total = np.int64(-1), np.int64(-1), np.int64(0), np.int64(0)
    for i in order:
        if users[i] != user:
            user, last, count, total = users[i], np.int64(-1), np.int64(0), np.int64(0)
            for column in range(len(codes)):
                while head_and_size[column, 1]:
                    _forget(column, known, queue, head_and_size)
        if status[i] == DUPLICATE:
            continue
        for column in range(len(codes)):
            flags[column, i] = not known[column, codes[column, i]]
        if last >= 0:
            seconds = (facts[0, i] - facts[0, last]) / 1_000_000
            since_last[i] = seconds
            speed[i] = distances[places[last], places[i]] / max(abs(seconds), 1.0) * 3600.0
            if total > 0:
                ratio[i] = facts[1, i] / (total / count)
        if status[i] == TOO_LATE:
            continue
        count, total = count + 1, total + facts[1, i]
        if last < 0 or facts[0, i] >= facts[0, last]:
            last = i
        for column in range(len(codes)):
            if not known[column, codes[column, i]]:
                _remember(column, codes[column, i], known, queue, head_and_size)


@njit(cache=True)
def _remember(column, code, known, queue, head_and_size):
    """Put the value at the end of the column's queue; forget the first if it is too long."""
    head, size = head_and_size[column]
    known[column, code] = True
    queue[column, (head + size) % queue.shape[1]] = code
    head_and_size[column, 1] += 1
    if size + 1 == queue.shape[1]:
        _forget(column, known, queue, head_and_size)


@njit(cache=True)
def _forget(column, known, queue, head_and_size):
    """Forget the value that the column has known longest."""
    head = head_and_size[column, 0]
    known[column, queue[column, head]] = False
    head_and_size[column, 0] = (head + 1) % queue.shape[1]
    head_and_size[column, 1] -= 1
