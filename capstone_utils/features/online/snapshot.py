"""Snapshots: state as bytes behind a header that proves them."""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

from capstone_utils.errors import CapstoneError
from capstone_utils.features.spec import FeatureSpec

FORMAT = 1
Content = Literal["all users", "one user", "one partition"]
_CONTENTS: tuple[Content, ...] = ("all users", "one user", "one partition")
_MAGIC = b"features"
_HEADER = struct.Struct("<8sBB32s32s")  # magic, format, content, hash of the spec, SHA-256 of what follows


class InvalidSnapshot(CapstoneError):
    """Bytes that are no snapshot of this spec's state; says why. The way on is to rebuild the state from the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"this snapshot {reason}; rebuild the state from the log")


def seal(spec: FeatureSpec, content: Content, body: bytes) -> bytes:
    """The body behind a header that `unseal` checks."""
    digest = hashlib.sha256(body).digest()
    return _HEADER.pack(_MAGIC, FORMAT, _CONTENTS.index(content), bytes.fromhex(spec.hash), digest) + body


def unseal(spec: FeatureSpec, content: Content, data: bytes) -> memoryview:
    """The body of sealed bytes, not copied.

    Raises:
        InvalidSnapshot: when it is cut, altered, of another format or spec, or holds something else.
    """
    if len(data) < _HEADER.size:
        raise InvalidSnapshot(f"has {len(data)} bytes, fewer than its header of {_HEADER.size}")
    magic, version, content_code, spec_hash, digest = _HEADER.unpack_from(data)
    body = memoryview(data)[_HEADER.size :]
    if magic != _MAGIC:
        raise InvalidSnapshot(f"begins with {magic!r} instead of {_MAGIC!r}")
    if version != FORMAT:
        raise InvalidSnapshot(f"is of format {version}, and this code reads format {FORMAT}")
    if content_code != _CONTENTS.index(content):
        raise InvalidSnapshot(f"does not hold {content}")
    if spec_hash.hex() != spec.hash:
        raise InvalidSnapshot(f"is of the spec {spec_hash.hex()[:12]}, and this one is {spec.hash[:12]}")
    if hashlib.sha256(body).digest() != digest:
        raise InvalidSnapshot("is damaged: its checksum does not fit its content")
    return body
