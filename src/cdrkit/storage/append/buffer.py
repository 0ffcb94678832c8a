"""The append buffer, which collects frames in memory before they are written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import polars as pl

from cdrkit._model import FIELDS, FRAME_TYPES

__all__ = ["IDENTITY", "RowBuffer"]

#: The fields that identify a call.
IDENTITY: Final = ("start", "call_id")

_ROWS_IN_MEMORY: Final = 1_000_000
_BYTES_IN_MEMORY: Final = 512 << 20  # 'extra' may hold whole documents
#: From this size on, rows of completed days are written while more rows arrive: later rows usually start later.
_ROWS_WORTH_WRITING: Final = 400_000
_BYTES_WORTH_WRITING: Final = 128 << 20


class RowBuffer:
    """A buffer of calls that an append has received but not yet written."""

    def __init__(self) -> None:
        self._frames: list[pl.DataFrame] = []
        self._rows = 0
        self._size_bytes = 0

    def __bool__(self) -> bool:
        """Return whether the buffer holds any rows."""
        return self._rows > 0

    def add(self, frame: pl.DataFrame) -> None:
        """Add a frame whose columns match the catalogue of fields."""
        if frame.height:
            self._frames.append(frame)
            self._rows += frame.height
            self._size_bytes += int(frame.estimated_size())

    @property
    def is_full(self) -> bool:
        """Whether the buffer has reached its limit of rows or bytes."""
        return self._rows >= _ROWS_IN_MEMORY or self._size_bytes >= _BYTES_IN_MEMORY

    @property
    def is_worth_writing(self) -> bool:
        """Whether the buffer is so large that its completed days should be written.

        The number of rows or the number of bytes decides.
        """
        return self._rows >= _ROWS_WORTH_WRITING or self._size_bytes >= _BYTES_WORTH_WRITING

    def take_all(self) -> pl.DataFrame:
        """Empty the buffer and return its rows, sorted by (``start``, ``call_id``).

        The buffer must not be empty.

        The sort is stable: rows with equal identities keep the order in which they arrived.
        """
        frames, self._frames, self._rows, self._size_bytes = self._frames, [], 0, 0
        columns = [name for name in FIELDS if any(name in frame.columns for frame in frames)]
        whole = pl.concat([_select_columns(frame, columns) for frame in frames])
        return whole if _is_in_order(whole) else whole.sort(IDENTITY, maintain_order=True)

    def take_before(self, day: datetime) -> pl.DataFrame:
        """Remove the rows that start before *day* and return them, sorted."""
        earlier = self._count_before(day)
        whole = self.take_all()
        self.add(whole.slice(earlier))
        return whole.slice(0, earlier)

    def is_mostly_before(self, day: datetime) -> bool:
        """Return whether at least half of the rows start before *day*."""
        return 2 * self._count_before(day) >= self._rows

    def _count_before(self, day: datetime) -> int:
        return sum(int((frame["start"] < day).sum()) for frame in self._frames)


def _is_in_order(frame: pl.DataFrame) -> bool:
    """Return whether *frame* is sorted by (``start``, ``call_id``)."""
    start = frame["start"]
    if not start.is_sorted():
        return False
    ties = (start == start.shift(-1)).fill_null(False).arg_true()
    ids = frame["call_id"]
    return not ties.len() or bool((ids.gather(ties) <= ids.gather(ties + 1)).all())


def _select_columns(frame: pl.DataFrame, columns: Iterable[str]) -> pl.DataFrame:
    """Return *columns* of *frame*, with nulls for a missing column."""
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, dtype=FRAME_TYPES[name]).alias(name)
        for name in columns
    )
