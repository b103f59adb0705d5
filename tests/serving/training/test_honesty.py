"""What must not be possible: to learn from nothing, from the future, or from a label that nobody had."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.features.daily_tables import BASE_RATE, daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF, SPEC
from capstone_utils.serving.evaluation.evaluation import evaluate
from capstone_utils.serving.training.splits import InvalidSplit, Split, split_by_time
from capstone_utils.serving.training.train import predict, train_model


def test_shuffled_labels_give_an_f1_near_zero(split):
    generator = np.random.default_rng(0)
    known = split.known.assign(is_fraud=generator.permutation(split.known["is_fraud"]))
    train, validation = (known.loc[part.index] for part in (split.train, split.validation))
    model = train_model(Split(train, validation, split.test, known), SPEC.names).model
    assert evaluate(split.test, predict(model.booster, split.test), model.threshold).f1 < 0.05


def changed_by_the_future(make, transactions, rows=400):
    """The features that are something else for the first `rows` when the rest of the stream is not there yet."""
    whole, prefix = make(transactions).head(rows), make(transactions.head(rows))
    return [name for name in whole if not whole[name].equals(prefix[name])]


def test_no_feature_changes_when_the_future_is_taken_away(world):
    stream = world.transactions.head(3000)
    assert changed_by_the_future(lambda frame: offline_features(frame, SPEC, {}), stream) == []


def features_known_at_the_end(transactions, labels):
    """Every feature, daily tables made from nothing but these transactions and the labels that had arrived."""
    arrived = labels["known_at_us"] <= transactions["event_time_us"].iloc[-1]
    known = labels[arrived & labels["transaction_id"].isin(transactions["transaction_id"])]
    return offline_features(transactions, SPEC, daily_tables(transactions, known))


@pytest.mark.parametrize("rows", [20_000, 40_000])  # about a week and two weeks, each ending within a day
def test_no_feature_changes_when_daily_tables_too_are_made_from_what_was_known(world, rows):
    def make(frame):
        return features_known_at_the_end(frame, world.labels)

    stream = world.transactions.head(60_000)
    assert changed_by_the_future(make, stream, rows) == []
    made = make(stream.head(rows))
    assert made["merchant_risk"].max() > 2 * BASE_RATE, "no report had arrived: nothing was tested"
    assert made["user_daily_transactions"].max() > 0


@pytest.mark.parametrize("spec", [BRIEF, SPEC], ids=["brief", "full"])
def test_a_feature_shifted_one_transaction_into_the_future_is_caught(world, spec):
    stream = world.transactions.head(3000)
    tables = daily_tables(stream, world.labels.head(3000))

    for name in spec.names:

        def leaky(frame, name=name):
            features = offline_features(frame, spec, tables)
            return features.assign(**{name: features[name].groupby(frame["user_id"]).shift(-1)})

        assert changed_by_the_future(leaky, stream) == [name]


def test_no_label_was_learnt_from_before_it_arrived(world, split):
    known_at = world.labels.set_index("transaction_id")["known_at_us"] / 1e6
    begins = split.test["timestamp"].iloc[0] // 86_400 * 86_400
    assert (known_at.loc[split.known["transaction_id"]] <= begins).all()
    trained_by = split.validation["timestamp"].iloc[0] // 86_400 * 86_400
    assert (known_at.loc[split.train["transaction_id"]] <= trained_by).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_permuted_time_split_is_refused(enriched, seed):
    with pytest.raises(InvalidSplit, match="not in time order"):
        split_by_time(enriched.sample(frac=1, random_state=seed))


def test_two_rows_exchanged_are_enough_to_be_refused(enriched):
    order = np.arange(len(enriched))
    order[[1000, 200_000 % len(order)]] = order[[200_000 % len(order), 1000]]
    with pytest.raises(InvalidSplit, match="not in time order"):
        split_by_time(enriched.iloc[order])


def test_merchant_risk_of_a_day_knows_only_labels_from_before_it(world):
    from capstone_utils.features.daily_tables import merchant_risk

    day_us = 86_400_000_000
    day = int(world.transactions["event_time_us"].iloc[-1] // day_us) - 10
    known = world.labels[world.labels["known_at_us"] < day * day_us]
    past = world.transactions[world.transactions["event_time_us"] < day * day_us]
    table, then = (
        merchant_risk(world.transactions, world.labels),
        merchant_risk(past, known[known["transaction_id"].isin(past["transaction_id"])]),
    )
    merchants = pd.Series(sorted(past["merchant"].astype(str).unique()))
    times = np.full(len(merchants), day * day_us)
    np.testing.assert_array_equal(table.lookup_many(times, merchants), then.lookup_many(times, merchants))
