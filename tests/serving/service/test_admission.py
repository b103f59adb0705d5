"""The way in: keys, sizes, media types, rushes and slow callers, over real HTTP; every refusal is a problem detail."""

import contextlib
import json
import resource
import socket
import threading
import time
from datetime import UTC, datetime

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

pytestmark = pytest.mark.slow

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


def test_a_further_field_is_passed_over_as_the_stream_does(client):
    assert client.post("/score", json=payment(1, color="red", currency="USD")).status_code == 200


def test_unknown_paths_and_methods_are_problems_too(client):
    assert "Not Found" in problem(client.get("/nowhere"), 404)
    for path in ("/predict/", "/predict", "/score", "/score/batch/"):
        refused = client.get(path)
        assert path in problem(refused, 405)
        assert refused.headers["allow"] == "POST"
    assert client.post("/healthz").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_slash_at_the_end_makes_no_difference(client, slash):
    for path, body in (("/predict", BRIEF), ("/score", payment(1)), ("/score/batch", [payment(2)])):
        assert client.post(path + slash, json=body).status_code == 200
    for path in ("/healthz", "/readyz", "/model", "/docs", "/openapi.json"):
        assert client.get(path + slash).status_code == 200
    for path in ("/predict//", "//predict", "/score//", "/PREDICT", "/", "//"):
        problem(client.post(path, json=BRIEF), 404)


def test_head_is_answered_where_get_is_and_without_a_body(client):
    for path in ("/healthz", "/readyz", "/model", "/docs", "/openapi.json", "/healthz/", "/nowhere", "/", "/score"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers["content-type"] == get.headers["content-type"]


def test_probes_and_scanners_are_counted_apart_from_payments_that_failed(scorer):
    with (
        start_service(Settings(api_port=0, metrics_port=0, api_key="open sesame"), scorer) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        count = service.metrics.registry.get_sample_value

        def refused():
            return sum(count("request_errors_total", {"kind": kind}) for kind in ("refused", "failed", "shed"))

        def others(status):
            return count("other_errors_total", {"status": status})

        for path in ("/predict/", "/score", "/model", "/.env"):
            problem(client.post(path, json={}, headers={"X-API-Key": "guessed"}), 401)
        client.headers["X-API-Key"] = "open sesame"
        for method in ("HEAD", "GET", "OPTIONS", "PUT"):
            for path in ("/healthz", "/readyz", "/favicon.ico", "/", "/.env", "/score", "/predict"):
                client.request(method, path)
        scorer.classifier.classify_brief = None
        problem(client.get("/readyz"), 503)
        assert refused() == 0
        assert (others("401"), others("503")) == (4, 1)
        assert others("404") == 4 * 3
        assert others("405") == 2 * 2 + 4 * 2
        problem(client.post("/score", json={}), 422)
        problem(client.post("/score", content=b"{}"), 415)
        assert refused() == 2


@pytest.mark.parametrize("path", ["/score", "/score/batch"])
def test_another_payment_under_the_same_id_is_409_by_its_fields_counted_and_changes_nothing(client, service, path):
    def ask(*payments):
        return client.post(path, json=list(payments) if path.endswith("batch") else payments[0])

    first = payment(1)
    ask(first).raise_for_status()
    before = service.app.state.scorer.online.snapshot()
    detail = problem(ask(first | {"amount": 9999.0, "device": "stolen"}), 409)
    assert "transaction_id=1 of user_id=7 came before with amount=19.99, device='mobile'" in detail
    assert "comes with amount=9999.0, device='stolen'" in detail
    assert service.app.state.scorer.online.snapshot() == before
    assert service.metrics.registry.get_sample_value("conflicting_transactions_total", {"door": "http"}) == 1
    assert ask(first | {"timestamp": f"{datetime.fromtimestamp(first['timestamp'], UTC)}", "currency": "USD"}).json()
    assert ask(first | {"user_id": 8}).status_code == 200  # another user's own id


def test_a_batch_that_holds_one_id_twice_with_two_amounts_is_taken_in_not_at_all(client, service):
    detail = problem(client.post("/score/batch", json=[payment(4), payment(5), payment(5, amount=77.0)]), 409)
    assert detail.startswith("payment 2: transaction_id=5")
    assert len(service.app.state.scorer.online.users) == 0


LARGE = 4 * 1024 * 1024  # more than the sockets' buffers hold


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /score HTTP/1.1\r\nContent-Type: application/json\r\nX-API-Key: key", 413),
        ("POST /score HTTP/1.1\r\nX-API-Key: key", 415),
        ("POST /score HTTP/1.1\r\nContent-Type: application/json", 401),
        ("POST /nowhere HTTP/1.1\r\nX-API-Key: key", 404),
        ("POST /healthz HTTP/1.1\r\nX-API-Key: key", 405),
        ("PUT /score HTTP/1.1\r\nX-API-Key: key", 405),
        ("POST /score HTTP/1.0\r\nContent-Type: application/json\r\nX-API-Key: key", 413),
        ("POST /predict HTTP/1.1\r\nContent-Type: application/json\r\nX-API-Key: key", 503),
        ("GET /healthz HTTP/1.1\r\nX-API-Key: key", 200),
    ],
)
@pytest.mark.parametrize("kind", ["close", "keep-alive"])
def test_a_response_before_the_body_was_read_reaches_a_caller_that_sends_it_all_first(
    scorer, monkeypatch, head, status, kind
):
    if status == 503:
        monkeypatch.setattr(admission, "MAX_PENDING", -1)
    request = f"{head}\r\nHost: x\r\nConnection: {kind}\r\nContent-Length: {LARGE}\r\n\r\n".encode()
    with (
        start_service(Settings(api_port=0, metrics_port=0, api_key="key"), scorer) as service,
        connection(service) as caller,
    ):
        caller.sendall(request)
        caller.sendall(b" " * LARGE)
        with caller.makefile("rb") as response:
            whole = response.read()  # to the end of the connection
    assert whole.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in whole
    assert whole.count(b"HTTP/1.1") == 1


def test_a_refused_request_whose_body_came_with_it_keeps_its_connection(service):
    with connection(service) as caller:
        for _ in range(3):
            caller.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            response = caller.recv(4096)
            assert response.startswith(b"HTTP/1.1 415")
            assert b"connection: close" not in response


def test_a_caller_that_waits_to_be_asked_for_its_body_is_refused_without_it(service):
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    with connection(service) as caller:
        caller.sendall(head % LARGE)
        assert caller.recv(4096).startswith(b"HTTP/1.1 415")


@pytest.mark.parametrize("limit", ["LINGER_BYTES", "LINGER_SECONDS"])
def test_a_body_without_end_is_hung_up_on(service, monkeypatch, limit):
    monkeypatch.setattr(slow_clients, limit, {"LINGER_BYTES": 100_000, "LINGER_SECONDS": 0.3}[limit])
    with connection(service) as caller:
        caller.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert caller.recv(4096).startswith(b"HTTP/1.1 415")
        with contextlib.suppress(ConnectionError):
            for _ in range(2000 if limit == "LINGER_BYTES" else 1):
                caller.sendall(b"2000\r\n%s\r\n" % (b"x" * 0x2000))
            assert caller.recv(4096) == b""
    assert httpx.get(f"{service.url}/healthz").status_code == 200


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


def test_thousands_of_idle_connections_hold_nobody_up(service, monkeypatch):
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 120.0)  # a busy machine takes long to open them all
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
