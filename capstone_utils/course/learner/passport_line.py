"""The passport as one line of text, which a learner copies from one Colab machine to the next.

`SFD1-` and base64 of packed JSON: stamps, guesses, and the success metrics that were measured. zlib's own checksum
tells a changed character.
"""

from __future__ import annotations

import base64
import json
import zlib

from capstone_utils.course.learner.passport import Passport, add, read_passport
from capstone_utils.course.machine import in_colab
from capstone_utils.course.results import METRICS, load, record, results_path
from capstone_utils.errors import CapstoneError

VERSION = "SFD1-"


class DamagedPassport(CapstoneError):
    """Text that is no whole passport line."""


def write_line() -> str:
    """The line of the learner's passport and this run's success metrics."""
    passport, figures = read_passport(), load(results_path())
    guesses = {number: [_short(said), _short(seen)] for number, (said, seen) in passport.guesses.items()}
    measured = {name: _short(figures[name].value) for name in METRICS if name in figures}
    packed = zlib.compress(json.dumps([sorted(passport.stamps), guesses, measured], separators=(",", ":")).encode(), 9)
    return VERSION + base64.urlsafe_b64encode(packed).decode()


def print_line() -> None:
    """Print the line in Colab, where each notebook has a machine of its own; elsewhere the file is enough."""
    if in_colab():
        print("your passport; the set-up of the next notebook takes this line:")
        print(write_line())


def take_line(line: str) -> str:
    """Add a line's content to the passport and results here, which count where both have something; say what came.

    Raises:
        DamagedPassport: when a character is missing or changed, or it is no such line at all.
    """
    text = line.strip()
    try:
        if not text.startswith(VERSION):
            raise ValueError
        packed = base64.b64decode(text.removeprefix(VERSION), altchars=b"-_", validate=True)
        stamps, guesses, measured = json.loads(zlib.decompress(packed))
        guesses = {number: (float(said), seen) for number, (said, seen) in guesses.items()}
    except (ValueError, TypeError, AttributeError, zlib.error):
        raise DamagedPassport(
            f"PASSPORT={text[:12]!r}... is no whole passport. Copy the whole line that begins with {VERSION}"
        ) from None

    passport = add(Passport(set(stamps), guesses))
    for name in METRICS.keys() & measured.keys() - load(results_path()).keys():
        record(name, measured[name])
    return f"your passport: {len(passport.stamps)} stamps, {len(passport.guesses)} guesses"


def _short(value: float | None) -> float | None:
    """A value at the four digits that a reader sees."""
    return None if value is None else float(f"{value:.4g}")
