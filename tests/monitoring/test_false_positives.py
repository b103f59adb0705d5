"""False alarms by what honest customers were doing."""

import numpy as np
import pandas as pd

from capstone_utils.monitoring.false_positives import false_positive_rates


def test_the_wronged_are_counted_among_the_legitimate_only():
    truth = pd.DataFrame(
        {
            "scenario": ["legitimate", "legitimate", "legitimate", "cloned_card"],
            "hard_negative": ["none", "gift_season", "gift_season", "none"],
        }
    )
    rates = false_positive_rates(truth, np.array([False, True, False, True]))
    assert rates.to_dict() == {"everyday payments": 0.0, "gift season": 0.5}
