"""The properties of an audio file: duration, channels, sample rate, completeness."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

__all__ = ["AudioProperties", "ReadBytes", "read_uint"]

#: A function that returns the bytes of a file from a start (inclusive) to a stop (exclusive).
ReadBytes: TypeAlias = Callable[[int, int], bytes]


@attrs.frozen(kw_only=True)
class AudioProperties:
    """Properties of one audio file.

    Attributes:
        seconds: Duration by the bytes that exist; None where the format has no length.
        channels: Number of channels; None where unknown.
        rate: Samples per second of each channel; None where unknown.
        is_whole: Whether all the bytes that the headers announce exist.
    """

    seconds: float | None = None
    channels: int | None = None
    rate: int | None = None
    is_whole: bool = True


def read_uint(data: bytes, at: int, size: int) -> int:
    """Return the unsigned little-endian integer of *size* bytes at offset *at*."""
    return int.from_bytes(data[at : at + size], "little")
