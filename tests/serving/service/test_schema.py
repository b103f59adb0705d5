"""The OpenAPI schema is what the service does: schemathesis asks it everything that the schema allows, and what not."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from capstone_utils.serving.service.app import create_app
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.state.scorer import Scorer

pytestmark = pytest.mark.slow

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
)


@pytest.fixture
def api(models, daily):
    return schemathesis.openapi.from_asgi("/openapi.json", create_app(Scorer(models, daily), ServiceMetrics()))


schema = schemathesis.pytest.from_fixture("api")


@schema.parametrize()
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_keeps_to_its_schema(case):
    case.call_and_validate(checks=CHECKS)
