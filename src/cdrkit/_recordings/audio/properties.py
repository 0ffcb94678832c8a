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
    """The properties of one audio file.

    Attributes:
        seconds: Duration of the existing bytes; None if the format does not define it.
        channels: Number of channels; None if unknown.
        rate: Samples per second in each channel; None if unknown.
        is_whole: Whether the file contains all bytes that its headers announce.
    """

    seconds: float | None = None
    channels: int | None = None
    rate: int | None = None
    is_whole: bool = True


def read_uint(data: bytes, at: int, size: int) -> int:
    """Return the unsigned little-endian integer of *size* bytes at offset *at*."""
    return int.from_bytes(data[at : at + size], "little")
