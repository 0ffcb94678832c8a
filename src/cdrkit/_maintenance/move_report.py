"""The report of a compaction, or of a move to the warm tier."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from cdrkit._text import html_report
from cdrkit.storage.log import Segment

__all__ = ["MoveReport"]


@attrs.frozen(kw_only=True)
class MoveReport:
    """The result of `Maintenance.compact` or `Maintenance.move_to_warm`.

    ``print`` shows it in sentences.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://move-report-example")
        >>> at = datetime(2026, 5, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id="1", start=at)])
        >>> report = store.maintenance.move_to_warm(now=datetime(2026, 11, 1, tzinfo=timezone.utc))
        >>> report.rows, report.months
        (1, ('2026-05',))
        >>> print(report)
        1 call was moved: from 1 segment to 1. Months: 2026-05.

    Attributes:
        rows: Calls that were written to new segments.
        read: Segments that held these calls before.
        written: Segments that hold these calls now, or 0 in a dry run.
        compaction: Whether the job was a compaction, which merges segments and moves no calls between tiers.
        months: UTC months that moved to the warm tier, as ``2026-08``; empty for a compaction.
        skipped: Months or days that other writers changed during the job. The next run processes them.
        dry_run: Whether the job only counted the calls and changed nothing.
    """

    rows: int = 0
    read: int = 0
    written: int = 0
    compaction: bool = False
    months: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    dry_run: bool = False

    def __str__(self) -> str:
        calls = "1 call" if self.rows == 1 else f"{self.rows:,} calls"
        sources = "1 segment" if self.read == 1 else f"{self.read:,} segments"
        done = "merged" if self.compaction else "moved"
        if not self.read:
            noun = "segments" if self.compaction else "calls"
            text = f"No {noun} would be {done}." if self.dry_run else f"No {noun} were {done}."
        elif self.dry_run:
            text = f"{calls} in {sources} would be {done}."
        else:
            text = (
                f"{calls} {'was' if self.rows == 1 else 'were'} {done}: from {sources} to {self.written:,}."
            )
        if self.months:
            text += f" Months: {', '.join(self.months)}."
        if self.skipped:
            text += (
                f" Skipped, because other writers changed them: {', '.join(self.skipped)}. Run the job again."
            )
        return text

    def _repr_html_(self) -> str:
        return html_report(self)

    def _add(self, read: Sequence[Segment], written: Sequence[Segment], *months: str) -> MoveReport:
        """Return a copy of this report with one more move or merge in its totals."""
        return attrs.evolve(
            self,
            months=(*self.months, *months),
            rows=self.rows + sum(segment.rows for segment in read),
            read=self.read + len(read),
            written=self.written + len(written),
        )

    def _skip(self, part: str) -> MoveReport:
        """Return a copy of this report with one more skipped month or day."""
        return attrs.evolve(self, skipped=(*self.skipped, part))
