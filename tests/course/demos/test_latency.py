"""What a caller waits is timed for answers only."""

import httpx
import pytest

from capstone_utils.course.demos.traffic import time_requests


def client(*statuses):
    answers = iter(statuses)
    transport = httpx.MockTransport(lambda request: httpx.Response(next(answers), json={"size": len(request.content)}))
    return httpx.Client(base_url="http://service", transport=transport)


def test_every_answer_has_its_time():
    with client(200, 200, 200) as service:
        milliseconds, answers = time_requests(service, "/score", [{"n": 1}, {"n": 22}, {"n": 333}])
    assert milliseconds.shape == (3,)
    assert (milliseconds > 0).all()
    assert [answer["size"] for answer in answers] == [7, 8, 9]


def test_a_refusal_is_an_error_and_never_a_fast_answer():
    with client(200, 422) as service, pytest.raises(httpx.HTTPStatusError):
        time_requests(service, "/score", [{}, {}])
