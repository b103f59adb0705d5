"""Spark's batch of features against the naive oracle, from parquet to parquet."""

import re
import shlex
from string import Template

import numpy as np
import pandas as pd
import pytest
from pyspark.errors import PythonException
from pyspark.sql import functions

from capstone_utils.features.daily_tables import write_daily
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spark.batch import InvalidHistory, batch_features
from capstone_utils.features.spark.job import main
from capstone_utils.features.spec import SPEC, FeatureSpec, State, Window
from capstone_utils.settings import ROOT
from capstone_utils.transaction import Transaction
from tests.features.conftest import DAILY
from tests.features.naive import naive_features

PLACE = ["partition", "offset"]


@pytest.fixture(scope="module")
def history(log):
    """The log as a topic of three partitions would have it: the order of arrival is in two columns."""
    frame = pd.DataFrame(log, columns=Transaction._fields)
    return frame.assign(partition=frame["user_id"] % 3, offset=range(100, 100 + len(frame)))


@pytest.fixture(scope="module")
def parquet(history, tmp_path_factory):
    """The history in three files, its rows in no order at all."""
    folder = tmp_path_factory.mktemp("history")
    shuffled = history.sample(frac=1, random_state=3)
    for number in range(3):
        shuffled.iloc[number::3].to_parquet(folder / f"{number}.parquet", index=False)
    return folder


def in_order_of(history, found):
    """The rows of `found` in the order of the history's."""
    return found.set_index(PLACE).loc[pd.MultiIndex.from_frame(history[PLACE])]


def test_every_feature_of_every_row_equals_the_naive_oracle(spark, history, parquet, expected, differing, tmp_path):
    write_daily(DAILY, tmp_path / "daily.npz")
    (command,) = re.findall(r"job\.py (batch .*)", (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8"))
    paths = {"TRANSACTIONS": parquet, "FEATURES": tmp_path / "features", "DAILY": tmp_path / "daily.npz"}
    main([Template(part).substitute(paths) for part in shlex.split(command)])
    found = in_order_of(history, pd.read_parquet(tmp_path / "features"))
    assert len(found) == len(history)
    assert differing(found, expected) == {}
    assert found["duplicate"].tolist() == expected["duplicate"].tolist()
    assert found["transaction_id"].tolist() == history["transaction_id"].tolist()


def test_the_kind_of_shop_is_counted_as_the_oracle_counts_it(spark, history, parquet, log):
    kind = Window("same_category_count_1h", "same", "category", 3600), State("is_new", "first_seen", "category")
    spec = FeatureSpec(kind)
    found = in_order_of(history, batch_features(spark.read.parquet(str(parquet)), PLACE, spec).toPandas())
    right = [answer or dict.fromkeys(spec.names, np.nan) for answer in naive_features(log, spec, {})]
    np.testing.assert_array_equal(found[list(spec.names)], pd.DataFrame(right))
    assert found["same_category_count_1h"].max() > 1


def test_a_missing_feature_is_nan_and_never_null(spark, parquet, expected):
    features = batch_features(spark.read.parquet(str(parquet)), PLACE, SPEC, DAILY)
    counted = [functions.count_if(functions.col(name).isNull()) for name in SPEC.names]
    counted += [functions.count_if(functions.isnan(name)) for name in SPEC.names]
    nulls_then_nans = list(features.select(*counted).first())
    assert nulls_then_nans == [0] * len(SPEC.names) + expected[list(SPEC.names)].isna().sum().tolist()
    assert expected["merchant_risk"].isna().sum() > expected["duplicate"].sum()


def test_where_no_arrival_is_known_the_order_may_be_the_transaction_s_own_time(spark, history):
    order = ["event_time_us", "transaction_id"]
    once = history.drop_duplicates("transaction_id")
    found = batch_features(spark.createDataFrame(once), order, SPEC, DAILY).toPandas().sort_values(order)
    online = OnlineFeatures(SPEC, DAILY)
    in_time = once.sort_values(order)[list(Transaction._fields)]
    right = [online.update(Transaction._make(row)) for row in in_time.itertuples(index=False, name=None)]
    np.testing.assert_array_equal(found[list(SPEC.names)], right)


@pytest.mark.parametrize(
    ("change", "order", "sentence"),
    [
        ({"device": None}, PLACE, "the column device is missing; there are transaction_id, user_id"),
        ({"amount_cents": 1.5}, PLACE, "the column amount_cents is double; it should be bigint"),
        ({"merchant": 5}, PLACE, "the column merchant is bigint; it should be string"),
        ({}, ["sequence"], "the column sequence is missing"),
        ({}, [], "order=.. is empty"),
    ],
)
def test_a_frame_that_is_no_history_is_refused_before_spark_runs(spark, history, change, order, sentence):
    wrong = history.head(2).assign(**change).dropna(axis="columns")
    with pytest.raises(InvalidHistory, match=sentence):
        batch_features(spark.createDataFrame(wrong), order)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"location": ["NY", None]}, "the column location holds a null"),
        ({"user_id": 7, "partition": 1, "offset": 5}, r"user_id=7 has two rows at \('partition', 'offset'\)=\(1, 5\)"),
    ],
)
def test_what_only_the_rows_show_fails_the_job_in_plain_words(spark, history, change, sentence):
    wrong = history.head(2).assign(**change)
    with pytest.raises(PythonException, match=sentence):
        batch_features(spark.createDataFrame(wrong), PLACE).collect()
