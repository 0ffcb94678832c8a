"""Fingerprints: compare two sets of calls by count and checksum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs
import polars as pl

from cdrkit._model import FRAME_TYPES

__all__ = ["Fingerprint"]

_SEEDS: Final = (20_261_124, 4_211_620_102)


@attrs.frozen
class Fingerprint:
    """A count of calls, and a checksum that ignores the order of the calls.

    Two sets of calls with equal fingerprints are equal.

    Attributes:
        rows: The number of calls.
        sums: The sums of two independent hashes of each call.
    """

    rows: int
    sums: tuple[int, ...]

    @classmethod
    def of(cls, frames: Iterable[pl.DataFrame]) -> Fingerprint:
        """Return a fingerprint of *frames* that is valid only within this process."""
        rows, sums = 0, [0] * len(_SEEDS)
        for frame in frames:
            whole = frame.select(
                pl.col(name).cast(pl.String) if isinstance(kind, pl.Categorical) else pl.col(name)
                for name, kind in FRAME_TYPES.items()
            )
            rows += whole.height
            for index, seed in enumerate(_SEEDS):
                sums[index] += int(whole.hash_rows(seed=seed).cast(pl.Int128).sum())
        return cls(rows, tuple(sums))
