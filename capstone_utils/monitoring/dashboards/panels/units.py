"""Numbers as Grafana's units show them."""

from __future__ import annotations

import math

SECONDS = ((60.0, 1 / 60, "min"), (1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))
BYTES = ((1e9, 1e-9, "GB"), (1e6, 1e-6, "MB"), (1e3, 1e-3, "kB"), (0.0, 1.0, "B"))
AROUND = {"reqps": ("", " req/s"), "currencyUSD": ("$", ""), "d": ("", " days")}  # before and after the number
THOUSANDS = ((1e9, 1e-9, " Bil"), (1e6, 1e-6, " Mil"), (1e3, 1e-3, " K"), (0.0, 1.0, ""))


def format_value(value: float, unit: str) -> str:
    """The value with its unit, for the units that the dashboard uses; "no data" for NaN.

    Units: `s` seconds, `d` days, `percentunit` a share of 1, `reqps` requests a second, `currencyUSD` dollars,
    `decbytes`, `locale` all digits, `none` or `short`.

    >>> format_value(0.0123, "s"), format_value(0.05, "percentunit"), format_value(12345, "locale")
    ('12.3 ms', '5%', '12,345')
    """
    if not math.isfinite(value):
        return "no data"
    if unit == "s":
        scale, name = _scale(abs(value), SECONDS)
        return f"{_digits(value * scale)} {name}" if value else "0 s"
    if unit == "percentunit":
        return f"{_digits(value * 100)}%"
    if unit == "locale":
        return f"{value:,.0f}"
    if unit == "decbytes":
        scale, name = _scale(abs(value), BYTES)
        return f"{_digits(value * scale)} {name}"
    scale, name = _scale(abs(value), THOUSANDS)
    before, after = AROUND.get(unit, ("", ""))
    return f"{before}{_digits(value * scale)}{name.strip() if before else name}{after}"


def _scale(size: float, scales: tuple[tuple[float, float, str], ...]) -> tuple[float, str]:
    return next((scale, name) for least, scale, name in scales if size >= least * (1 - 1e-9))


def _digits(value: float) -> str:
    """Three significant digits, or all digits before the point."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"
