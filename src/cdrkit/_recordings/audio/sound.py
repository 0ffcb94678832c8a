"""What a sound file tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs

__all__ = ["Piece", "Sound", "number"]

#: What returns the bytes of a file from a first one up to and without a last one.
Piece: TypeAlias = Callable[[int, int], bytes]


@attrs.frozen(kw_only=True)
class Sound:
    """How a file sounds.

    Attributes:
        seconds: How long it plays, by what is really there; None where the format does not tell.
        channels: How many; None where the format does not tell.
        rate: Samples a second of each channel; None where the format does not tell.
        is_whole: Whether everything is there that its headers promise.
    """

    seconds: float | None = None
    channels: int | None = None
    rate: int | None = None
    is_whole: bool = True


def number(data: bytes, at: int, size: int) -> int:
    """Return the little-endian number of *size* bytes at *at*."""
    return int.from_bytes(data[at : at + size], "little")
