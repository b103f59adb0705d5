"""Window values over a whole arrival log, one key after the other, compiled by numba.

The transactions kept of the current key stand in event-time order, equal times in order of arrival. They fill the
places from `first` to `end` of four arrays, `kept`: times, rows, prefix sums of cents and of reported frauds.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

from capstone_utils.features.plan import KeyPlan
from capstone_utils.ingestion.arrays import Array

KEPT, DUPLICATE, TOO_LATE = 0, 1, 2


def window_values(plan: KeyPlan, keys: Array, ids: Array, facts: Array, codes: Array, status: Array) -> Array:
    """Each row's values in the order of `plan.slots`, shape (n, slots).

    They are NaN for a duplicate or a row that is too late.

    keys, ids: codes from 0, shape (n,). facts (3, n): event time, cents, 1 for reported fraud. codes (columns, n): text
    values from 0. status (n,): filled for the user's plan; read for any other plan, which keeps only KEPT rows.
    """
    n = len(keys)
    texts = [(plan.columns.index(name), place, kind == "same") for kind, name, place in plan.slots if name]
    values = np.full((n, len(plan.slots)), np.nan)
    kept = np.empty(n, np.int64), np.empty(n, np.int64), np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    counts = np.zeros((len(texts), codes.max(initial=0) + 1), np.int64)
    _walk(
        np.argsort(keys, kind="stable"),  # one key after the other, arrival order kept
        (keys, ids, facts, codes),
        plan.key == "user_id",
        np.array(plan.ranges, dtype=np.int64).reshape(-1, 3),
        np.array(texts, dtype=np.int64).reshape(-1, 3),
        np.array([plan.lateness_us, plan.retention_us, plan.max_events], dtype=np.int64),
        kept,
        (counts, np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)),
        np.zeros(counts.shape[1] + 1, np.int64),
        np.zeros(ids.max(initial=0) + 1, np.bool_),
        status,
        values,
    )
    return values


@njit(cache=True)
def _walk(order, log, decide, ranges, texts, limits, kept, windows, mark, held, status, values):
    """Fill `values`, and `status` if `decide` is true. The arrays from `kept` to `held` are working memory.

    texts (counts, 3): the column and the range of each count, and 1 where it counts the row's own value, 0 for distinct
    ones.
    """
    keys, ids, facts, codes = log
    times = kept[0]
    first, end, key = np.int64(0), np.int64(0), np.int64(-1)
    for i in order:
        if keys[i] != key:
            _forget(kept, first, end, ids, codes, texts, windows, held)
            first, end, key = np.int64(0), np.int64(0), keys[i]
            for d in range(len(texts)):
                windows[2][d] = 0
        if decide and held[ids[i]]:
            status[i] = DUPLICATE
        if status[i] == DUPLICATE:
            continue
        time, cents = facts[0, i], facts[1, i]
        late = end > first and time < times[end - 1]
        if late and time < times[end - 1] - limits[0]:
            if decide:
                status[i] = TOO_LATE
            continue
        place = _after(times, first, end, time) if late else end
        _look(kept, first, end, place, time, cents, ranges, values[i])
        if late or status[i] != KEPT:
            _recount(kept, first, place, time, i, codes, ranges, texts, mark, values[i])
        if status[i] != KEPT:
            continue
        _put(kept, end, place, time, i, cents, facts[2, i])
        end += 1
        held[ids[i]] = True
        _follow(kept, end, place, i, codes, ranges, texts, windows)
        if not late:
            for d in range(len(texts)):
                own = windows[0][d, codes[texts[d, 0], i]]
                values[i, values.shape[1] - len(texts) + d] = own if texts[d, 2] else windows[1][d]
        oldest = _after(times, first, end, times[end - 1] - limits[1])
        if end - oldest > limits[2]:
            oldest = end - limits[2] // 2
        _forget(kept, first, oldest, ids, codes, texts, windows, held)
        first = oldest


@njit(cache=True)
def _after(times, low, high, value):
    """The first place from `low` to `high` with a time above `value`."""
    while low < high:
        middle = (low + high) // 2
        if times[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _look(kept, first, end, place, time, cents, ranges, values):
    """Write count, mean and fraud rate of each range for an arrival at `place`."""
    times, _, sums, frauds = kept
    slot = 0
    for r in range(len(ranges)):
        delay, width, rated = ranges[r, 0], ranges[r, 1], ranges[r, 2]
        low = _after(times, first, end, time - delay - width)
        high = _after(times, low, end, time - delay) if delay else place
        count, total = high - low, sums[high] - sums[low]
        if not delay:
            count, total = count + 1, total + cents
        values[slot] = count
        if count:
            values[slot + 1] = total / count / 100
            if rated:
                values[slot + 2] = (frauds[high] - frauds[low]) / count
        slot += 2 + rated


@njit(cache=True)
def _recount(kept, first, place, time, row, codes, ranges, texts, mark, values):
    """Write the numbers of distinct values, and of the row's own value, in each range for an arrival at `place`.

    They are counted one by one. `mark` holds for each code the number of the count that saw it last; its last element
    numbers the counts.
    """
    times, rows = kept[0], kept[1]
    for d in range(len(texts)):
        column, r = texts[d, 0], texts[d, 1]
        mark[-1] += 1
        count = own = 0
        for before in range(_after(times, first, place, time - ranges[r, 1]), place + 1):
            code = codes[column, rows[before] if before < place else row]
            count += mark[code] != mark[-1]
            own += code == codes[column, row]
            mark[code] = mark[-1]
        values[len(values) - len(texts) + d] = own if texts[d, 2] else count


@njit(cache=True)
def _put(kept, end, place, time, row, cents, fraud):
    """Make room at `place` and put the transaction there."""
    times, rows, sums, frauds = kept
    for later in range(end, place, -1):
        times[later], rows[later] = times[later - 1], rows[later - 1]
        sums[later + 1], frauds[later + 1] = sums[later] + cents, frauds[later] + fraud
    times[place], rows[place] = time, row
    sums[place + 1], frauds[place + 1] = sums[place] + cents, frauds[place] + fraud


@njit(cache=True)
def _follow(kept, end, place, row, codes, ranges, texts, windows):
    """Move each count of texts on to the latest window, after an insertion at `place`.

    `windows` holds for each of `texts`: the times that each code stands in the window, the number of codes that do,
    the window's first place.
    """
    times, rows = kept[0], kept[1]
    counts, sizes, start = windows
    for d in range(len(texts)):
        column, r = texts[d, 0], texts[d, 1]
        edge = times[end - 1] - ranges[r, 1]
        if times[place] <= edge:
            start[d] += 1
            continue
        counts[d, codes[column, row]] += 1
        sizes[d] += counts[d, codes[column, row]] == 1
        while times[start[d]] <= edge:
            _drop(d, codes[column, rows[start[d]]], windows)


@njit(cache=True)
def _forget(kept, first, oldest, ids, codes, texts, windows, held):
    """Take the transactions from `first` to `oldest` out of ids and counts."""
    rows, start = kept[1], windows[2]
    for place in range(first, oldest):
        held[ids[rows[place]]] = False
    for d in range(len(texts)):
        while start[d] < oldest:
            _drop(d, codes[texts[d, 0], rows[start[d]]], windows)


@njit(cache=True)
def _drop(d, code, windows):
    """Take the first transaction of count `d`, which has `code`, out of its window."""
    counts, sizes, start = windows
    counts[d, code] -= 1
    sizes[d] -= counts[d, code] == 0
    start[d] += 1
