"""The scorer decides on the features that the stream would give, one by one or many at once."""

import numpy as np
import pytest

from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.serving.service.state import service_state
from capstone_utils.serving.service.state.scorer import ConflictingTransaction, Scorer


@pytest.fixture(scope="module")
def payments(stream):
    return list(transactions_of(stream.transactions.head(800)))


def test_many_at_once_decide_as_one_by_one(models, daily, payments):
    together, one_by_one = Scorer(models, daily), Scorer(models, daily)
    batches = [payments[:1], payments[1:400], payments[400:]]
    many = [score for batch in batches for score in together.score_many(batch)]
    single = [one_by_one.score(payment) for payment in payments]
    assert [repr(score) for score in many] == [repr(score) for score in single]


def test_decisions_are_the_model_s_answer_on_the_offline_features(models, daily, scorer, stream, payments):
    offline = offline_features(stream.transactions.head(800), SPEC, daily)[list(SPEC.names)].to_numpy()
    expected = models.score.booster.inplace_predict(offline)
    scores = scorer.score_many(payments)
    np.testing.assert_allclose([d.probability for d in scores], expected, rtol=1e-6)
    assert [d.fraud for d in scores] == list(expected.astype(float) >= models.score.threshold)


def test_a_payment_sent_again_gets_its_earlier_answer_and_changes_nothing(scorer, payments):
    first, second = scorer.score(payments[0]), scorer.score(payments[1])
    before = scorer.online.snapshot()
    assert repr(scorer.score(payments[0])) == repr(first._replace(duplicate=True))
    assert not second.duplicate
    assert scorer.online.snapshot() == before


def test_the_same_payment_twice_in_one_call_is_answered_twice_and_counted_once(scorer, payments):
    first, again = scorer.score_many([payments[0], payments[0]])
    assert repr(again) == repr(first._replace(duplicate=True))
    assert scorer.online.duplicates == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_cents": 999_900}, "amount=9999.0"),
        ({"location": "?"}, "location='?'"),
        ({"device": "?"}, "device='?'"),
        ({"event_time_us": 1_800_000_000_000_000}, "timestamp=1800000000.0"),
    ],
)
@pytest.mark.parametrize("known", ["kept", "in the history", "its score is gone", "in one call"])
def test_another_payment_under_the_same_id_is_refused_by_the_field_and_changes_nothing(
    scorer, payments, monkeypatch, change, field, known
):
    other = payments[0]._replace(**change)
    call = [payments[5], other]
    if known == "in the history":
        scorer.warm_up(payments[:2])
    elif known == "in one call":
        call = [payments[5], payments[0], other]
    else:
        monkeypatch.setattr(service_state, "SCORES_KEPT", 2 if known == "kept" else 1)
        scorer.score_many(payments[:2])
    before = scorer.online.snapshot()
    with pytest.raises(ConflictingTransaction, match=f"came before with .*and comes with {field}") as conflict:
        scorer.score_many(call)
    assert conflict.value.place == len(call) - 1
    assert scorer.online.snapshot() == before
    assert len(scorer.score_many([payments[5]])) == 1


def test_a_payment_of_long_ago_sent_again_gets_its_answer_although_the_state_has_forgotten_it(scorer, payments):
    old = scorer.score(payments[0])
    for place in range(1, 4):
        later = payments[0].event_time_us + place * 40 * 86_400_000_000
        scorer.score(payments[0]._replace(transaction_id=10_000 + place, event_time_us=later))
    assert repr(scorer.score(payments[0])) == repr(old._replace(duplicate=True))


def test_the_same_id_of_two_customers_are_two_payments(models, daily, payments):
    scorer = Scorer(models, daily)
    small, large = payments[0], payments[0]._replace(user_id=999, amount_cents=5_000_000)
    scores = scorer.score_many([small, large])
    assert [d.features[0] for d in scores] == [small.amount_cents / 100, 50_000.0]
    assert [scorer.score(t).probability for t in (small, large)] == [d.probability for d in scores]


def test_an_answer_that_is_no_longer_kept_is_none(scorer, payments, monkeypatch):
    monkeypatch.setattr(service_state, "SCORES_KEPT", 2)
    scorer.score_many(payments[:3])
    assert scorer.score(payments[0]) is None
    assert scorer.score(payments[2]).duplicate


def test_warming_up_makes_history_and_no_decisions(models, daily, payments):
    warm, cold = Scorer(models, daily), Scorer(models, daily)
    assert warm.warm_up(payments[:-1]) == len(payments) - 1
    cold.score_many(payments[:-1])
    assert repr(warm.score(payments[-1])) == repr(cold.score(payments[-1]))
    assert warm.score(payments[-2]) is None


def test_predict_takes_the_brief_s_five_features(models, scorer):
    row = [500.5, 300.25, 5.0, 2.0, 1.0]
    probability, fraud, _ = scorer.classifier.classify_brief(row)
    assert probability == models.predict.booster.inplace_predict(np.array([row]))[0]
    assert fraud == (probability >= models.predict.threshold)
    assert len(row) == len(BRIEF_FEATURES)
