"""Plans: run a bound query to return calls, a count, totals or an explanation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import perf_counter

import attrs
import polars as pl

from cdrkit._engine.aggregate import aggregate_calls, count_calls
from cdrkit._engine.bound_query import BoundQuery
from cdrkit._engine.explain import Explanation, ReadCounters
from cdrkit._engine.order import read_frames
from cdrkit._engine.scan import Scan
from cdrkit.storage.log import Segment

__all__ = ["Plan"]


@attrs.frozen(kw_only=True)
class Plan(BoundQuery):
    """A bound query that can be run; every run returns the same calls.

    `frames`, `count` and `totals` take *counters*, which count the reads of one run.
    """

    def frames(self, columns: Sequence[str], counters: ReadCounters | None = None) -> Iterator[pl.DataFrame]:
        """Yield the calls in order, as non-empty frames of bounded size."""
        return read_frames(self._scan(counters), columns)

    def count(self, counters: ReadCounters | None = None) -> int:
        """Return the number of calls that `frames` yields."""
        return count_calls(self._scan(counters))

    def totals(self, *by: str, counters: ReadCounters | None = None) -> pl.DataFrame:
        """Return the sums listed in `SUMMED`, grouped by ``day``, ``currency`` or both.

        If rollups can answer the query, only calls at the edges of the period are read.
        """
        return aggregate_calls(self._scan(counters), *by)

    def matches(self) -> Iterator[tuple[Segment, pl.Series]]:
        """Yield each segment in the period, with the row numbers of matching calls."""
        scan = self._scan(None)
        for segment in scan.list_segments():
            yield segment, scan.scan_rows(segment, scan.period_rows(segment)).series()

    def explain(self, columns: Sequence[str]) -> Explanation:
        """Run the query with *columns*, discard the calls, and report what was read."""
        counters = ReadCounters()
        started = perf_counter()
        rows = sum(frame.height for frame in self.frames(columns, counters))
        seconds = perf_counter() - started
        counts = attrs.asdict(counters, filter=lambda attribute, _: attribute.name != "rolled_up")
        return Explanation(
            **counts,
            segments=len(self.snapshot.segments),
            calls=self.snapshot.rows,
            columns=len(columns),
            rows=rows,
            in_order=self.is_chronological,
            limit=self.maximum,
            seconds=seconds,
        )

    def _scan(self, counters: ReadCounters | None) -> Scan:
        return Scan(self, ReadCounters() if counters is None else counters)
