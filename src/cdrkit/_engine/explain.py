"""What was read for an answer, and why: counted while a plan runs, told in sentences afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

__all__ = ["Explanation", "Reading"]


@attrs.define
class Reading:
    """What a plan has read so far; it counts while it runs.

    Attributes:
        in_period: Segments that may hold calls of the period.
        skipped: Those whose roll-ups tell that they hold no such customer.
        indexed: Those in which the number index told the rows.
        scanned: Those of which columns were looked at.
        rolled_up: Those whose totals were taken from their roll-ups.
        candidates: Rows that the number index named.
        rows_scanned: Rows whose columns were looked at.
        fetched: Rows of which columns of the answer were fetched.
    """

    in_period: int = 0
    skipped: int = 0
    indexed: int = 0
    scanned: int = 0
    rolled_up: int = 0
    candidates: int = 0
    rows_scanned: int = 0
    fetched: int = 0


@attrs.frozen(kw_only=True)
class Explanation:
    """What was read for an answer, and why; `Result.explain` gives it, and ``print`` shows it in sentences.

    A *segment* is one file of calls, of one UTC day in the hot tier or a part of a month in the warm one.

    Attributes:
        segments: Segments of the store.
        calls: Calls of the store.
        in_period: Segments that may hold calls of the period.
        skipped: Those that were not looked at because their roll-ups tell that they hold no such customer.
        indexed: Those in which the number index told the rows.
        scanned: Those of which the columns that the conditions need were looked at.
        candidates: Rows that the number index named.
        rows_scanned: Rows whose columns were looked at.
        fetched: Rows of which the columns of the answer were fetched.
        columns: How many columns that is.
        rows: Calls of the answer.
        in_order: Whether the order is that of time, so that reading can stop early.
        limit: How many calls were asked for at most, or None.
        seconds: How long it took.
    """

    segments: int
    calls: int
    in_period: int
    skipped: int
    indexed: int
    scanned: int
    candidates: int
    rows_scanned: int
    fetched: int
    columns: int
    rows: int
    in_order: bool
    limit: int | None
    seconds: float

    def __str__(self) -> str:
        return "\n".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        yield f"{self.rows:,} of {self.calls:,} calls in {1000 * self.seconds:,.1f} ms."
        yield f"Period: {self.in_period:,} of {self.segments:,} segments may hold calls of it, by their first and last."
        if self.skipped:
            yield f"Roll-ups: {self.skipped:,} of those hold no call of the customer, and were skipped."
        if self.indexed:
            yield f"Number index: asked in {self.indexed:,} segments, it named {self.candidates:,} rows."
        if self.scanned:
            yield (
                f"Scan: the columns of the conditions were looked at for {self.rows_scanned:,} rows of "
                f"{self.scanned:,} segments."
            )
        left = self.in_period - self.skipped - self.indexed - self.scanned
        if left > 0 and self.limit is not None and self.in_order:
            yield f"Early stop: with {self.limit:,} calls found, {left:,} segments were not looked at for conditions."
        elif not self.in_order:
            yield "Order: not that of time, so every call found was compared."
        yield f"Fetch: {self.columns:,} columns of {self.fetched:,} rows."
