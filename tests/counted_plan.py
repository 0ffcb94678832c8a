"""A plan that counts the reads of all its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from cdrkit._engine.explain import ReadCounters
from cdrkit._engine.plan import Plan
from cdrkit.storage.log.snapshot import Snapshot

__all__ = ["CountedPlan"]


@attrs.frozen
class CountedPlan:
    """A plan with the counters of its runs."""

    plan: Plan
    counters: ReadCounters = attrs.field(factory=ReadCounters)

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot of the plan."""
        return self.plan.snapshot

    def frames(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield the calls, and count."""
        return self.plan.frames(columns, self.counters)

    def count(self) -> int:
        """Count the calls, and the reads."""
        return self.plan.count(self.counters)

    def totals(self, *by: str) -> pl.DataFrame:
        """Sum the calls, and count the reads."""
        return self.plan.totals(*by, counters=self.counters)
