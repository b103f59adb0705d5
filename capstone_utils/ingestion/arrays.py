"""NumPy's arrays by what they hold, for signatures, and in files; shape and unit stand in the docstring beside them."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capstone_utils.files import replaced

Booleans = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]
Texts = NDArray[np.str_]
Array = NDArray[Any]  # of any of these


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write arrays to an .npz file, whole or not at all.

    It is made in memory first: a disk that is full half way would leave an open archive behind, which complains later.

    Raises:
        OSError: when it cannot be written; the file is what it was.
    """
    content = BytesIO()
    np.savez_compressed(content, **dict(arrays))
    with replaced(path) as partial:
        partial.write_bytes(content.getvalue())
