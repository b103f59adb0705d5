"""Numbers as Grafana's units show them."""

from __future__ import annotations

import pytest

from capstone_utils.monitoring.dashboards.panels.units import format_value


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.0, "s", "0 s"),
        (0.000_002, "s", "2 µs"),
        (0.001, "s", "1 ms"),
        (0.0447, "s", "44.7 ms"),
        (0.2, "s", "200 ms"),
        (1.0, "s", "1 s"),
        (90.0, "s", "1.5 min"),
        (0.05, "percentunit", "5%"),
        (0.1234, "percentunit", "12.3%"),
        (1.0, "percentunit", "100%"),
        (0.0, "percentunit", "0%"),
        (999.0, "locale", "999"),
        (1_234_567.0, "locale", "1,234,567"),
        (0.5, "reqps", "0.5 req/s"),
        (98.76, "reqps", "98.8 req/s"),
        (1500.0, "reqps", "1.5 K req/s"),
        (12.0, "none", "12"),
        (-2500.0, "short", "-2.5 K"),
        (3_000_000_000.0, "short", "3 Bil"),
        (1990.0, "currencyUSD", "$1.99K"),
        (12.5, "currencyUSD", "$12.5"),
        (1e6, "decbytes", "1 MB"),
        (640.0, "decbytes", "640 B"),
        (3.0, "d", "3 days"),
        (float("nan"), "s", "no data"),
        (float("inf"), "s", "no data"),
    ],
)
def test_a_value_has_three_digits_and_its_unit(value, unit, shown):
    assert format_value(value, unit) == shown
