"""The careless windows count what they say they count, on five payments."""

import pandas as pd

from capstone_utils.course.demos.naive_windows import careless_counts


def test_each_careless_way_errs_in_its_own_way():
    # minute      0    1    4    6    7      user 1 at 0, 4, 6 and 7; user 2 at 1
    #             1    2    1    1    1      batches of five minutes: [0, 5) and [5, 10)
    minutes, users = [0, 1, 4, 6, 7], [1, 2, 1, 1, 1]
    table = pd.DataFrame({"user_id": users, "event_time_us": [60_000_000 * minute for minute in minutes]})
    counts = {name.split()[0]: count.tolist() for name, count in careless_counts(table).items()}
    assert counts == {
        "one": [1, 2, 3, 2, 3],  # (t - 5, t] over both: at 6 those of 4 and 6, not that of 1 on the open end
        "centred:": [1, 1, 2, 3, 2],  # (t - 2.5, t + 2.5] of the user: at 4 those of 4 and 6
        "batches": [1, 1, 2, 1, 2],
        "cached": [1, 1, 1, 1, 2],  # (t - 5, t - 1], and at least the payment itself: at 7 those of 4 and 6
    }
