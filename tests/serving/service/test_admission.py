"""The way in: keys, sizes, media types, rushes and slow callers, over real HTTP; every refusal is a problem detail."""

import contextlib
import json
import resource
import socket
import threading
import time

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capstone_utils.serving.service import admission, slow_clients
from capstone_utils.serving.service.admission import MAX_BYTES
from capstone_utils.serving.service.main import _allow_connections
from capstone_utils.serving.service.server import ServiceError, start_service
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings
from tests.serving.examples import BRIEF

ANY = Settings(api_port=0, metrics_port=0)
IDLE = 4_000
DESCRIPTORS = 2 * IDLE + 200


def payment(number, **fields):
    shop = {"amount": 19.99, "location": "NY", "merchant": "Amazon", "device": "mobile"}
    return {"transaction_id": number, "user_id": 7, "timestamp": time.time(), **shop, **fields}


@pytest.fixture
def service(scorer):
    with start_service(ANY, scorer) as running:
        yield running


@pytest.fixture
def client(service):
    with httpx.Client(base_url=service.url, timeout=10) as client:
        yield client


def problem(response, status):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    return body["detail"]


def test_a_body_over_the_limit_is_413_whether_its_length_is_told_or_not(client):
    large = b"[" + b" " * MAX_BYTES + b"]"
    kind = {"content-type": "application/json"}
    assert f"at most {MAX_BYTES}" in problem(client.post("/score", content=large, headers=kind), 413)
    in_parts = (large[place : place + 8192] for place in range(0, len(large), 8192))
    assert f"more than {MAX_BYTES}" in problem(client.post("/score", content=in_parts, headers=kind), 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_media_type_is_415(client, kind):
    headers = {"content-type": kind} if kind else {}
    assert "is not application/json" in problem(client.post("/predict/", content=b"{}", headers=headers), 415)


def test_a_charset_beside_the_media_type_is_fine(client):
    headers = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/predict/", content=json.dumps(BRIEF), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"color": "red"}, "color"),
        ({"amount": float("nan")}, "message"),
        ({"amount": 1e12}, "amount"),
        ({"timestamp": time.time() + 3 * 86_400}, "timestamp"),
        ({"timestamp": -1}, "timestamp"),
        ({"location": "x" * 65}, "location"),
        ({"user_id": -1}, "user_id"),
        ({"user_id": "7"}, "user_id"),
        ({"schema_version": 9}, "schema_version"),
    ],
)
def test_a_payment_that_is_wrong_is_422_that_names_the_field_and_changes_nothing(client, service, change, field):
    body = json.dumps(payment(1, **change))
    response = client.post("/score", content=body, headers={"content-type": "application/json"})
    assert problem(response, 422).startswith(field)
    assert len(service.app.state.scorer.online.users) == 0


@pytest.mark.parametrize("value", [True, "5", None, [5], -3, 2.5, 1e9])
def test_a_count_that_is_none_is_422_by_name(client, value):
    assert "transaction_count" in problem(client.post("/predict/", json=BRIEF | {"transaction_count": value}), 422)


def test_a_crowd_of_wrong_fields_gets_a_short_answer(client):
    detail = problem(client.post("/predict/", json=BRIEF | {f"{'x' * 200}{n}": n for n in range(100)}), 422)
    assert detail.endswith("; and 95 more")
    assert len(detail) < 1500


def test_unknown_paths_and_methods_are_problems_too(client):
    assert "Not Found" in problem(client.get("/nowhere"), 404)
    assert "/predict/" in problem(client.get("/predict/"), 405)


def test_a_retry_gets_the_very_same_answer_and_changes_nothing(client, service):
    body = payment(1)
    first = client.post("/score", json=body).json()
    before = service.app.state.scorer.online.snapshot()
    again = client.post("/score", json=body).json()
    assert again.pop("duplicate")
    assert not first.pop("duplicate")
    for answer in (first, again):
        answer.pop("latency")
    assert again == first
    assert service.app.state.scorer.online.snapshot() == before


def test_a_batch_is_answered_in_order_and_taken_in_whole_or_not_at_all(client, service):
    payments = [payment(number, amount=float(number)) for number in range(1, 6)]
    answers = client.post("/score/batch", json=payments).json()
    assert [answer["features"]["amount"] for answer in answers] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [answer["features"]["transaction_count"] for answer in answers] == [1.0, 2.0, 3.0, 4.0, 5.0]
    wrong = [payment(10), payment(11, amount="much"), payment(12)]
    assert "payment 1: amount='much'" in problem(client.post("/score/batch", json=wrong), 422)
    alone = client.post("/score", json=payment(13)).json()
    assert alone["features"]["transaction_count"] == 6.0
    for body in ({}, [], [payment(1)] * 1001):
        assert "1 to 1000 payments" in problem(client.post("/score/batch", json=body), 422)


def test_beyond_this_machine_a_key_is_a_must(scorer):
    with pytest.raises(ServiceError, match=r"CAPSTONE_HOST=0\.0\.0\.0 lets other machines in: set CAPSTONE_API_KEY"):
        start_service(Settings(host="0.0.0.0", api_port=0, metrics_port=0), scorer)


def test_with_a_key_only_those_who_hold_it_get_predictions(scorer):
    settings = Settings(api_port=0, metrics_port=0, api_key="open sesame")
    assert "sesame" not in repr(settings)
    with start_service(settings, scorer) as service, httpx.Client(base_url=service.url) as client:
        for headers in ({}, {"X-API-Key": "open"}):
            assert "X-API-Key" in problem(client.post("/predict/", json=BRIEF, headers=headers), 401)
            assert client.get("/model", headers=headers).status_code == 401
        assert client.post("/predict/", json=BRIEF, headers={"X-API-Key": "open sesame"}).status_code == 200
        assert client.get("/model", headers={"X-API-Key": "open sesame"}).json()["features"]["predict"] == list(BRIEF)
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        schemes = client.get("/openapi.json").json()["components"]["securitySchemes"]  # the docs ask for it
        assert [(scheme["in"], scheme["name"]) for scheme in schemes.values()] == [("header", "X-API-Key")]


def test_in_a_rush_some_are_turned_away_at_once_and_the_others_answered(scorer, monkeypatch):
    monkeypatch.setattr(admission, "MAX_PENDING", 8)
    rule = scorer.classifier.classify_brief
    scorer.classifier.classify_brief = lambda features: (time.sleep(0.05), rule(features))[1]
    body = json.dumps(BRIEF).encode()
    request = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with start_service(ANY, scorer) as service, contextlib.ExitStack() as stack:
        address = ("127.0.0.1", service.settings.api_port)
        callers = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(60)]
        for caller in callers:  # a connection that was not taken yet waits in the kernel, and is not seen
            caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert caller.recv(4096).startswith(b"HTTP/1.1 200")
        for caller in callers:
            caller.sendall(request % len(body) + body)
        answers = [caller.recv(4096) for caller in callers]
    shed = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503")]
    assert all(b"retry-after: 1" in answer for answer in shed)
    served = sum(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert served + len(shed) == 60
    assert 1 <= served < 40  # nobody waited for all the others


def test_a_slow_caller_gets_408_and_holds_nobody_up(service, monkeypatch):
    monkeypatch.setattr(admission, "BODY_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", service.settings.api_port)) as slow:
        slow.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        assert httpx.post(f"{service.url}/predict/", json=BRIEF).status_code == 200
        slow.settimeout(10)
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")


def test_hundreds_of_slow_callers_hold_nobody_up_and_all_get_408(service, monkeypatch):
    monkeypatch.setattr(admission, "BODY_SECONDS", 5.0)
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connection(service)) for _ in range(admission.MAX_PENDING + 100)]
        for number, caller in enumerate(slow):
            caller.sendall(head + b'{"amount": ')
            if number % 20 == 0:
                assert httpx.post(f"{service.url}/predict/", json=BRIEF, timeout=10).status_code == 200
        assert all(caller.recv(4096).startswith(b"HTTP/1.1 408") for caller in slow)


def test_a_head_that_comes_late_or_is_endless_is_hung_up_on(service, monkeypatch):
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 0.3)
    with connection(service) as late, connection(service) as endless:
        late.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        endless.sendall(b"GET /healthz HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(1000):
                endless.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))
        for caller in (late, endless):
            with contextlib.suppress(ConnectionError):
                assert b"200" not in caller.recv(4096)
    assert httpx.get(f"{service.url}/healthz").status_code == 200


def test_thousands_of_idle_connections_hold_nobody_up(service):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < DESCRIPTORS:
        pytest.skip(f"needs {DESCRIPTORS:,} open files, both ends of each connection; this user may have {most:,}")
    _allow_connections()
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connection(service)) for _ in range(IDLE)]
        for caller in idle[:: IDLE // 10]:  # taken, answered, and idle ever after
            caller.sendall(request)
            assert caller.recv(4096).startswith(b"HTTP/1.1 200")
        for _ in range(20):
            assert httpx.post(f"{service.url}/predict/", json=BRIEF, timeout=10).status_code == 200


def connection(service):
    return socket.create_connection(("127.0.0.1", service.settings.api_port), timeout=10)


@pytest.mark.parametrize("path", ["/predict/", "/score", "/score/batch"])
def test_a_body_nested_without_end_is_422(client, path):
    for body in (b"[" * 30_000, b'{"amount":' * 5_000, b"[" * 900 + b"]" * 900, b'[{"amount": ' + b"[" * 900):
        problem(client.post(path, content=body, headers={"content-type": "application/json"}), 422)


good = json.dumps(payment(1)).encode()
mangled = st.tuples(
    st.sampled_from([good, b"[" + good + b"]", json.dumps(BRIEF).encode()]),
    st.integers(0, 200),
    st.integers(0, 200),
    st.binary(max_size=8),
).map(lambda given: given[0][: given[1]] + given[3] + given[0][given[2] :])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["/predict/", "/score", "/score/batch"]), body=st.binary(max_size=300) | mangled)
def test_no_bytes_in_a_body_make_the_service_fail(client, path, body):
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code in (200, 409, 422)
    response.json()
    if response.status_code != 200:
        problem(response, response.status_code)


def test_told_to_stop_it_finishes_what_is_under_way(models):
    scorer = Scorer(models)
    rule, begun = scorer.classifier.classify_brief, threading.Event()

    def slowly(features):
        begun.set()
        time.sleep(0.5)
        return rule(features)

    scorer.classifier.classify_brief = slowly
    service = start_service(ANY, scorer)
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{service.url}/predict/", json=BRIEF, timeout=10).status_code)
    )
    caller.start()
    assert begun.wait(10)
    service.stop()
    caller.join()
    assert answers == [200]
