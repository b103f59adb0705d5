"""The parts within uvicorn that the service relies on: an upgrade that moves them fails here, with a sentence."""

import asyncio

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from capstone_utils.serving.service.app import create_app
from capstone_utils.serving.service.metrics import ServiceMetrics


@pytest.fixture
def server(scorer):
    return uvicorn.Server(uvicorn.Config(create_app(scorer, ServiceMetrics()), lifespan="off"))


def test_the_server_shows_its_tasks_and_can_be_told_to_stop(server):
    for owner, attribute in ((server, "started"), (server, "should_exit"), (server.server_state, "tasks")):
        assert hasattr(owner, attribute), f"uvicorn {uvicorn.__version__} has no {attribute}: see service/server.py"
    assert len(server.server_state.tasks) == 0, "Service._pending counts uvicorn's tasks by their number"


def test_the_protocol_calls_what_the_limits_of_a_head_hook_into(server):
    for hook in ("connection_made", "connection_lost", "data_received", "on_message_begin", "on_headers_complete"):
        assert callable(getattr(HttpToolsProtocol, hook, None)), (
            f"uvicorn {uvicorn.__version__} does not call {hook}: see service/slow_clients.py"
        )

    async def protocol():
        server.config.load()
        return HttpToolsProtocol(server.config, server.server_state, {})

    made = asyncio.run(protocol())
    assert hasattr(made, "loop"), "HeadLimitProtocol sets its timer on the protocol's `loop`"
    assert hasattr(made, "transport"), "HeadLimitProtocol closes the protocol's `transport`"
