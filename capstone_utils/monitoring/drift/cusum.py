"""A cumulative sum that grows while events fail more often than expected, and falls back to nothing otherwise."""

from __future__ import annotations

import math

from capstone_utils.errors import InvalidValue


class Cusum:
    """Evidence, event by event, that failures have become more frequent: a sum of log-likelihood ratios, never below 0.

    `ratio` is the evidence as a share of `limit`: an alarm at 1. The evidence stops at twice the limit, so that it
    comes down again when things are mended. Source: E. S. Page: Continuous inspection schemes, Biometrika 41 (1954).

    >>> misses = Cusum(usual=0.06, raised=0.16, limit=8.0)
    >>> [round(misses.update(missed), 2) for missed in (False, True, True, False, True)]
    [0.0, 0.12, 0.25, 0.23, 0.35]

    Raises:
        InvalidValue: when the shares are not in order between 0 and 1.
    """

    def __init__(self, usual: float, raised: float, limit: float) -> None:
        if not 0 < usual < raised < 1:
            raise InvalidValue(f"usual={usual}, raised={raised} are not two rising shares between 0 and 1")
        self.limit, self.evidence = limit, 0.0
        self._failed, self._succeeded = math.log(raised / usual), math.log((1 - raised) / (1 - usual))

    @property
    def ratio(self) -> float:
        """The evidence as a share of the limit."""
        return self.evidence / self.limit

    def update(self, failed: bool) -> float:
        """The ratio after one more event."""
        evidence = self.evidence + (self._failed if failed else self._succeeded)
        self.evidence = min(max(0.0, evidence), 2 * self.limit)
        return self.ratio
