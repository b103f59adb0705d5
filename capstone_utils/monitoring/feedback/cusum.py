"""The cumulative sum of evidence that more of the reported frauds are missed than used to be.

Source: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954), with the logarithm of the likelihood ratio of
two Bernoulli rates as the step (M. R. Reynolds, Z. G. Stoumbos, Journal of Quality Technology 31, 1999).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from capstone_utils.errors import InvalidValue

USUAL, RAISED = 0.06, 0.16  # shares of reported frauds that were missed: with nothing wrong, and worth an alarm
LIMIT = 8.0  # at some 38 reports a day about one false alarm in twenty weeks, and three to four days until a new fraud


class Cusum:
    """Evidence for the share `raised` against `usual`, report by report; never below zero.

    `ratio` is the evidence as a share of the limit: an alarm from 1 on. It falls again when reports are as usual.

    >>> cusum = Cusum()
    >>> for missed in [False] * 20 + [True] * 9:
    ...     cusum.update(missed)
    >>> round(cusum.ratio, 2), cusum.ratio >= 1
    (1.1, True)

    Raises:
        InvalidValue: when the shares are not in order between 0 and 1, or the limit is not above 0.
    """

    def __init__(self, usual: float = USUAL, raised: float = RAISED, limit: float = LIMIT) -> None:
        if not 0 < usual < raised < 1:
            raise InvalidValue(f"usual={usual}, raised={raised} are not two rising shares between 0 and 1")
        if not limit > 0:
            raise InvalidValue(f"limit={limit} is not above 0")
        self._missed, self._caught = math.log(raised / usual), math.log((1 - raised) / (1 - usual))
        self._limit = limit
        self.evidence = 0.0

    @property
    def ratio(self) -> float:
        """The evidence as a share of the limit."""
        return self.evidence / self._limit

    def update(self, missed: bool) -> None:
        """Take in one reported fraud: was its payment called fraud, or missed?"""
        self.evidence = max(0.0, self.evidence + (self._missed if missed else self._caught))

    def update_all(self, missed: Iterable[bool]) -> None:
        """Take in many, in the order in which they became known."""
        for each in missed:
            self.update(each)
