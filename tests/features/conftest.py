"""One Spark session and one generated history, which the Spark tests share."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.spark.session import find_spark_java, open_spark
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.broker.java import JavaNotFound
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_US, MAX_AMOUNT_CENTS, MAX_ID, SECOND_US, Transaction
from tests.features.naive import naive_features
from tests.features.streams import START_US

USERS = [0, MAX_ID, *range(7, 37)]
# Around the edges of the windows and of the allowed lateness, in seconds; and ten days: more would be the future.
STEPS = [0, 0, 1, 60, 299, 300, 301, -1, -299, -300, 3600, -3599, -3600, -3601, 86_399, 86_400, 90_001, 864_000]
DAYS = np.arange(20.0)[:, None]
DAILY = {
    "merchant_risk": DailyTable(START_US // DAY_US, DAYS / [[7, 9]], {"Amazon": 0, "Walmart": 1}),
    "user_daily_transactions": DailyTable(START_US // DAY_US + 1, DAYS / [[3, 11]], {7: 0, MAX_ID: 1}),
}


@pytest.fixture(scope="session")
def spark_java() -> Path:
    """The Java that runs Spark; where there is only one that runs Kafka alone, the test is skipped."""
    try:
        return find_spark_java()
    except JavaNotFound as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def spark(spark_java: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A real Spark session with Kafka's connector, after which Ctrl-C does what it did before."""
    interrupt = signal.getsignal(signal.SIGINT)
    with open_spark(tmp_path_factory.mktemp("spark"), Settings.from_environment().cache_dir) as session:
        yield session
    assert signal.getsignal(signal.SIGINT) is interrupt


@pytest.fixture(scope="session")
def log() -> list[Transaction]:
    """Transactions of many users in order of arrival: late, too late, twice, at equal times, refunds, odd names."""
    random = np.random.default_rng(11)
    clock = dict.fromkeys(USERS, START_US + 40 * DAY_US // 100)
    arrived: list[Transaction] = []
    for number in range(600):
        user = USERS[random.integers(len(USERS))]
        mine = [transaction for transaction in arrived if transaction.user_id == user]
        if mine and random.random() < 0.1:
            arrived.append(mine[random.integers(len(mine))])
            continue
        clock[user] += STEPS[random.integers(len(STEPS))] * SECOND_US + int(random.integers(-1, 2))
        arrived.append(
            Transaction(
                MAX_ID - number,
                user,
                [0, -500, 1, 1999, MAX_AMOUNT_CENTS, 12_345][random.integers(6)],
                clock[user],
                ["NY", "LA", "SF", "東京"][random.integers(4)],
                ["Amazon", "Walmart", "Café", "Cafe\u0301"][random.integers(4)][  # two spellings: two texts,
                    "mobile", "desktop", "📱"
                ][random.integers(3)],
            )
        )
    return arrived


@pytest.fixture(scope="session")
def expected(log: list[Transaction]) -> pd.DataFrame:
    """What the naive oracle says of each row of `log`; where it says nothing, `duplicate` and all features NaN."""
    answers: list[dict[str, float] | None] = [None] * len(log)
    for user in USERS:
        places = [place for place, transaction in enumerate(log) if transaction.user_id == user]
        for place, answer in zip(places, naive_features([log[place] for place in places], SPEC, DAILY), strict=True):
            answers[place] = answer
    frame = pd.DataFrame([answer or {} for answer in answers], columns=SPEC.names, dtype=float)
    return frame.assign(duplicate=[answer is None for answer in answers])


@pytest.fixture(scope="session")
def differing() -> Callable[[pd.DataFrame, pd.DataFrame], dict[str, int]]:
    """How many values of each feature differ in any bit between two frames of equal order; a NaN is a NaN."""

    def count(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, int]:
        counted = {}
        for name in SPEC.names:
            one, other = left[name].to_numpy(), right[name].to_numpy()
            assert one.dtype == other.dtype == np.float64
            differs = (one.view(np.int64) != other.view(np.int64)) & ~(np.isnan(one) & np.isnan(other))
            if differs.any():
                counted[name] = int(differs.sum())
        return counted

    return count
