"""Explanations: report the segments and rows that a query reads or skips."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

__all__ = ["Explanation", "ReadCounters"]


@attrs.define
class ReadCounters:
    """Counters of the segments and rows that one run of a query reads or skips.

    Attributes:
        in_period: Segments that may hold calls in the period.
        skipped: Segments that rollups excluded because they hold no call of the requested customers.
        indexed: Segments whose rows were found in the number index.
        scanned: Segments in which the columns used by the conditions were read.
        rolled_up: Segments whose totals were taken from their rollups.
        candidates: Rows found in the number index.
        rows_scanned: Rows whose condition columns were read.
        fetched: Rows whose result columns were read.
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
    """A report of the segments and rows that a query read or skipped.

    `Result.explain` returns it, and ``print`` shows it in sentences.

    A *segment* is one file of calls. It covers one UTC day in the hot tier, or part of a month in the warm tier.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://explanation-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at, duration=60)])
        >>> explanation = store.run(cdrkit.Query().connected()).explain()
        >>> explanation.rows, explanation.scanned, explanation.rows_scanned
        (1, 1, 1)

    Attributes:
        segments: Segments in the store.
        calls: Calls in the store.
        in_period: Segments that may hold calls in the period.
        skipped: Segments that rollups excluded because they hold no call of the requested customers.
        indexed: Segments whose rows were found in the number index.
        scanned: Segments in which the columns used by the conditions were read.
        candidates: Rows found in the number index.
        rows_scanned: Rows whose condition columns were read.
        fetched: Rows whose result columns were read.
        columns: Number of columns in the result.
        rows: Calls in the result.
        in_order: Whether the order is chronological, so that reading can stop early.
        limit: The largest number of calls in the result, or None.
        seconds: Duration of the run, in seconds.
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
        yield f"Period: {self.in_period:,} of {self.segments:,} segments overlap it."
        if self.skipped:
            yield f"Rollups: {self.skipped:,} segments hold no call of the customer and were skipped."
        if self.indexed:
            yield f"Number index: of {self.indexed:,} segments, it named {self.candidates:,} rows."
        if self.scanned:
            yield (
                f"Scan: the columns of the conditions were read for {self.rows_scanned:,} rows in "
                f"{self.scanned:,} segments."
            )
        left = self.in_period - self.skipped - self.indexed - self.scanned
        if left > 0 and self.limit is not None and self.in_order:
            yield f"Early stop: after {self.limit:,} calls, {left:,} segments were not scanned."
        elif not self.in_order:
            yield "Order: not chronological, so every matching call was compared."
        yield f"Fetch: {self.columns:,} columns of {self.fetched:,} rows."
