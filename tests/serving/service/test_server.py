"""The service over real HTTP: the brief's contract, refusals that say what is wrong, metrics that add up."""

import json
import socket
import threading
import time
from dataclasses import replace

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from capstone_utils.course.demos.incidents import SlowScorer
from capstone_utils.features.daily_tables import write_daily
from capstone_utils.features.enriched import enrich, write_enriched
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.process import bind, free_ports
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.service import main, server
from capstone_utils.serving.service.main import load_scorer
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.server import Service, ServiceError, start_service
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.parity_watch import ParityWatch
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings
from capstone_utils.transaction import Transaction
from tests.serving.examples import BRIEF

PAYMENT = {"amount": 19.99, "location": "NY", "merchant": "Amazon", "device": "mobile"}


@pytest.fixture
def service(scorer):
    with start_service(Settings(api_port=0, metrics_port=0), scorer) as running:
        yield running


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, timeout=10) as client:
        yield client


def counted(service: Service) -> dict[str, float]:
    text = httpx.get(f"http://{service.metrics_address}/metrics").text
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    told = ("kind", "lateness")
    return {sample.name + "".join(sample.labels.get(key, "") for key in told): sample.value for sample in samples}


def payment(number, user=7, **fields):
    return {"transaction_id": number, "user_id": user, "timestamp": time.time(), **PAYMENT, **fields}


def test_the_brief_s_request_gets_the_brief_s_answer(client):
    response = client.post("/predict/", json=BRIEF)
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"prediction", "fraud_probability", "latency"}
    assert answer["prediction"] in ("Fraud", "Legit")
    assert 0 <= answer["fraud_probability"] <= 1
    assert answer["latency"] >= 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"amount": "much"}, "amount='much' is wrong"),
        ({"amount": None}, "amount=None is wrong"),
        ({"transaction_count": True}, "transaction_count=True is wrong"),
        ({"transaction_count": 0}, "transaction_count=0 is wrong: Input should be greater than or equal to 1"),
        ({"transaction_count": 2.5}, "transaction_count=2.5 is wrong"),
        ({"unique_devices": 6}, "unique_devices=6 is more than transaction_count=5"),
        ({"merchant": "Amazon"}, "merchant='Amazon' is wrong: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_feature_is_refused_by_name(client, change, sentence):
    response = client.post("/predict/", json=BRIEF | change)
    assert response.status_code == 422
    assert sentence in response.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"amount": NaN}', b'{"amount": 1e999}', b"null"])
@pytest.mark.parametrize("path", ["/predict/", "/score"])
def test_a_body_that_is_no_request_is_refused_with_a_sentence(client, path, body):
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"]


def test_the_brief_s_own_transaction_is_scored_and_remembered(client):
    first = client.post("/score", json=payment(1)).json()
    second = client.post("/score", json=payment(2, location="LA")).json()
    assert (first["features"]["transaction_count"], first["features"]["seconds_since_last"]) == (1, None)
    assert (second["features"]["transaction_count"], second["features"]["unique_locations"]) == (2, 2)
    assert second["features"]["avg_transaction_amount"] == 19.99


def test_a_payment_posted_twice_gets_the_same_answer(client, service):
    body = payment(1)
    first, second = (client.post("/score", json=body).json() for _ in range(2))
    assert (second["fraud_probability"], second["duplicate"]) == (first["fraud_probability"], True)
    assert counted(service)["duplicate_transactions_total"] == 1


def test_a_payment_from_the_history_is_a_conflict(client, service):
    body = payment(1)
    service.app.state.scorer.warm_up([Transaction.from_dict(body)])
    response = client.post("/score", json=body)
    assert response.status_code == 409
    assert "transaction_id=1 was seen before" in response.json()["detail"]


def test_a_wrong_payment_names_its_field_and_changes_no_state(client, service):
    response = client.post("/score", json=payment(1, amount=19.999))
    assert response.status_code == 422
    assert response.json()["detail"] == "amount=19.999 is not a number with at most 2 decimals"
    assert client.get("/readyz").json()["users"] == 0


def test_metrics_count_what_was_answered_and_what_was_not(client, service):
    verdicts = [client.post("/predict/", json=BRIEF | {"amount": 100.0 * n}).json()["prediction"] for n in range(5)]
    client.post("/score", json=payment(1))
    client.post("/score", json=payment(2, timestamp=time.time() - 90))
    client.post("/score", content=b"{")
    found = counted(service)
    assert found["prediction_requests_total"] == found["prediction_latency_seconds_count"] == 7
    assert found["fraud_predictions_total"] >= verdicts.count("Fraud")
    assert found["fraud_probability_count"] == 7
    assert (found["request_errors_totalrefused"], found["request_errors_totalfailed"]) == (1, 0)
    late = service.metrics.registry.get_sample_value
    assert late("late_transactions_total", {"door": "http", "lateness": "up to an hour"}) == 1


def test_a_scorer_that_breaks_answers_500_is_counted_and_is_not_ready(client, service):
    def broken(features):
        raise RuntimeError("no model at home")

    scorer = service.app.state.scorer = Scorer(service.app.state.scorer.models)
    scorer.classifier.classify_brief = broken
    assert client.post("/predict/", json=BRIEF).status_code == 500
    assert counted(service)["request_errors_totalfailed"] == 1
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "no model at home" in response.json()["detail"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_docs_show_both_bodies_with_an_example(client):
    openapi = client.get("/openapi.json").json()
    assert client.get("/docs").status_code == 200
    predict = openapi["paths"]["/predict/"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert predict["example"] == BRIEF
    schema = openapi["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert client.post("/score", json=schema["example"]).status_code == 200


def test_no_answer_waits_for_a_delayed_acknowledgement(client):
    def seconds():
        began = time.perf_counter()
        client.post("/predict/", json=BRIEF)
        return time.perf_counter() - began

    seconds()
    assert min(seconds() for _ in range(20)) < 0.03, "Nagle's algorithm adds 40 ms to each, a busy machine only to some"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/predict/", "/score"]), data=st.data())
def test_no_value_in_any_field_makes_the_service_fail(client, path, data):
    good = BRIEF if path == "/predict/" else payment(data.draw(st.integers(0, 2**63 - 1)))
    field = data.draw(st.sampled_from(sorted(good)))
    body = json.dumps(good | {field: data.draw(json_values)}).encode()
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code in (200, 409, 422)


def test_a_second_start_in_one_process_replaces_the_first(models):
    settings = Settings(api_port=0, metrics_port=0)
    with start_service(settings, Scorer(models)) as first:
        fixed = first.settings
        with start_service(fixed, Scorer(models)) as second:
            assert not first.running()
            assert httpx.get(f"{second.url}/healthz").status_code == 200


@pytest.mark.parametrize("setting", ["api_port", "metrics_port"])
def test_a_taken_port_is_named_and_leaves_nothing_running(models, setting):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        settings = Settings(**{"api_port": 0, "metrics_port": 0, setting: port})
        with pytest.raises(ServiceError, match=f"CAPSTONE_{setting.upper()}={port}: the service cannot listen there"):
            start_service(settings, Scorer(models))


def test_a_service_whose_parts_fail_to_start_leaves_no_port_taken(models, monkeypatch):
    def broken(*_):
        raise RuntimeError("no watch today")

    before = set(threading.enumerate())
    ports = dict(zip(("api_port", "metrics_port"), free_ports("127.0.0.1", 0, 0), strict=True))
    monkeypatch.setattr(server, "ParityWatch", broken)
    with pytest.raises(RuntimeError, match="no watch today"):
        start_service(Settings(**ports), Scorer(models))
    for port in ports.values():
        bind("127.0.0.1", port).close()
    names = {thread.name for thread in set(threading.enumerate()) - before}  # other tests' servers may start some
    assert not [name for name in names if name.endswith(("run)", "(serve_forever)"))]


def test_what_cannot_be_read_at_the_start_is_a_sentence_and_status_1(models, tmp_path, monkeypatch, capsys):
    settings = Settings(work_dir=tmp_path)
    ModelRegistry(settings.models_dir).publish(models)
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path))
    for path, sentence in (
        (settings.daily_tables, "holds no whole batch tables"),
        (settings.enriched_csv, "lacks the columns"),
    ):
        path.write_text("nonsense")
        assert main.main() == 1
        assert sentence in capsys.readouterr().err
        path.unlink()
    monkeypatch.setenv("CAPSTONE_API_PORT", "many")
    assert main.main() == 1
    assert "CAPSTONE_API_PORT=many is not a port" in capsys.readouterr().err


def test_a_model_that_is_loaded_while_the_scorer_is_slowed_down_stays(models, daily):
    scorer, later = Scorer(models, daily), replace(models, version="later")
    with start_service(Settings(api_port=0, metrics_port=0), scorer) as service:
        service.app.state.scorer = SlowScorer(scorer, delay_seconds=0.05)
        service._use(Classifier(later))
        with httpx.Client(base_url=service.url) as client:
            began = time.perf_counter()
            body = payment(1)
            client.post("/score", json=body).raise_for_status()
            assert time.perf_counter() - began > 0.05
        service.app.state.scorer = scorer
        assert scorer.models is later
        assert scorer.score(Transaction.from_dict(body)).version == "later"


def test_a_service_goes_on_where_the_history_ended(models, daily, stream, tmp_path):
    """What `serve` does: model, batch tables and history from the work directory."""
    settings = Settings(work_dir=tmp_path)
    history, last = stream.transactions.iloc[:-1], next(transactions_of(stream.transactions.tail(1)))
    features = offline_features(history, SPEC, daily)
    ModelRegistry(settings.models_dir).publish(models)
    write_daily(daily, settings.daily_tables)
    write_enriched(enrich(history, features, stream.labels), settings.enriched_csv)
    expected = offline_features(stream.transactions, SPEC, daily).iloc[-1]
    with Journal(settings.journal) as journal:
        score = load_scorer(settings, journal).score(last)
    np.testing.assert_array_equal(score.features, expected[list(SPEC.names)].to_numpy(float))


def test_features_are_recomputed_while_the_service_runs_and_a_skewed_state_shows(scorer, stream):
    payments = list(transactions_of(stream.transactions.head(60)))
    metrics = ServiceMetrics()
    scorer.warm_up(payments[:20])
    watch = ParityWatch(scorer, metrics, share=1.0, every_seconds=0.01)
    scorer.score_many(payments[20:40])
    watch.stop()
    assert parity(metrics, "feature_parity_rows") == {"": 20}
    assert set(parity(metrics, "feature_parity_mismatches").values()) == {0}

    watch = ParityWatch(scorer, metrics, share=1.0, every_seconds=0.01)
    update = scorer.online.update
    scorer.online.update = lambda transaction: tuple(value + 1 for value in update(transaction))
    scorer.score_many(payments[40:])
    watch.stop()
    skewed = parity(metrics, "feature_parity_mismatches")
    assert skewed["amount"] == skewed["transaction_count_24h"] == 20


def parity(metrics, name):
    counter = next(each for each in metrics.registry.collect() if each.name == name)
    return {s.labels.get("feature", ""): s.value for s in counter.samples if s.name.endswith("_total")}


def test_reasons_come_in_plain_words_when_they_are_asked_for(trained, daily):
    settings = Settings(api_port=0, metrics_port=0)
    with start_service(settings, Scorer(trained, daily)) as service, httpx.Client(base_url=service.url) as client:
        for number in range(8):
            shop = {"merchant": f"Shop {number}", "location": "NY" if number % 2 else "LA", "amount": 900.0}
            answer = client.post("/score?explain=true", json=payment(number, **shop)).json()
        assert answer["prediction"] == "Fraud"
        assert answer["decided_by"] in ("model", "fallback")
        assert 1 <= len(answer["reasons"]) <= 3
        assert any("hour" in reason or "minutes" in reason or "km/h" in reason for reason in answer["reasons"])
        plain = payment(100)
        assert client.post("/score", json=plain).json()["reasons"] is None
        assert client.post("/score?explain=true", json=plain).json()["reasons"]
        assert client.post("/score?explain=perhaps", json=payment(101)).status_code == 422


def test_what_only_the_fallback_calls_fraud_says_so_and_why(trained, split):
    classifier = Classifier(trained)
    rows = split.known[list(SPEC.names)].to_numpy(float)
    place, verdict = next((n, verdict) for n, verdict in enumerate(classifier.classify(rows)) if verdict.by_fallback)
    reasons = classifier.explain(rows[place], verdict)
    parts = trained.fallback.anomaly.parts(rows[place])
    assert verdict.fraud
    assert reasons[0].contribution == max(parts.values())


def test_a_payment_may_be_minutes_ahead_of_the_service_s_clock_and_not_hours(client, service):
    now = time.time()
    assert client.post("/score", json=payment(901, 70, timestamp=now + 240)).status_code == 200
    refused = client.post("/score", json=payment(902, 70, timestamp=now + 5.5 * 3600))
    assert refused.status_code == 422
    assert "at most 5 minutes ahead of this service's clock" in refused.text
    assert "it is 5:30 hours ahead, as a local time sent as UTC would be" in refused.text
