"""The report of an append: the counts of its rows by outcome, as text and as HTML."""

from __future__ import annotations

import attrs

from cdrkit._text import html_report
from cdrkit.storage.append import AppendResult, Conflict

__all__ = ["AppendReport", "Conflict", "report_append"]


@attrs.frozen(kw_only=True)
class AppendReport(AppendResult):
    """The counts of one append's rows by outcome. Notebooks show it as a table.

    Unless conflicts are replaced, ``added + duplicates + conflicts`` is the number of rows appended. One append may
    contain a call several times, with different contents. How many of those rows count as duplicates, as conflicts or
    as replaced then depends on which rows were compared with each other. The stored calls do not depend on that.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://append-report-example")
        >>> call = cdrkit.CallRecord(call_id="17", start=datetime(2026, 11, 22, 9, tzinfo=timezone.utc))
        >>> store.append([call, call])
        AppendReport(added=1, duplicates=1, conflicts=0, replaced=0, conflicting=())

    Attributes:
        added: The rows stored, including those that replaced an older row.
        duplicates: The rows skipped because the store already holds the call with equal content.
        conflicts: The rows skipped because the store holds the call with other content.
        replaced: The rows, stored earlier or earlier in the append, that a later row replaced. Always 0 unless
            ``on_conflict="replace"``.
        conflicting: The first 100 conflicts.
    """

    def _repr_html_(self) -> str:
        return html_report(self)


def report_append(result: AppendResult) -> AppendReport:
    """Return the public report of what `Append.commit` returned."""
    return AppendReport(**attrs.asdict(result, recurse=False))
