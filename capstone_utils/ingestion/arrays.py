"""NumPy's arrays by what they hold, for signatures; shape and unit stand in the docstring beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Booleans = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Texts = NDArray[np.str_]
Array = NDArray[Any]  # of any of these
