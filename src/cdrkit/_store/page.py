"""Pages: consecutive calls of a result, with cursors for the adjacent pages."""

from __future__ import annotations

from typing import Final, Literal

import attrs
import polars as pl

from cdrkit._model import FIELDS, CallRecord, empty_frame
from cdrkit._output import DEFAULT_COLUMNS, display_text
from cdrkit._text import html_table

__all__ = ["Page"]

_MOST_HTML_COLUMNS: Final = 20


@attrs.frozen(kw_only=True)
class Page:
    """A page of a result, with cursors for the next and previous pages.

    Example:
        >>> from datetime import datetime, timezone
        >>> import cdrkit
        >>> store = cdrkit.open_store("memory://page-example")
        >>> at = datetime(2026, 11, 22, 9, tzinfo=timezone.utc)
        >>> _ = store.append([cdrkit.CallRecord(call_id=name, start=at) for name in "abc"])
        >>> first = store.run().page(2)
        >>> [call.call_id for call in first.records], first.previous_cursor
        (['a', 'b'], None)
        >>> second = store.run(cdrkit.Query().after(first.next_cursor)).page(2)
        >>> [call.call_id for call in second.records], second.next_cursor
        (['c'], None)
        >>> store.run(cdrkit.Query().after(second.previous_cursor)).page(2) == first
        True

    Attributes:
        records: The calls with all fields, in the query's order.
        next_cursor: The argument of `Query.after` for the next page; None on the last page.
        columns: The columns that the query selects, or all fields.
        timezone: The zone of the instants in `rows`.
        previous_cursor: The argument of `Query.after` for the previous page; None on the first page.
    """

    records: tuple[CallRecord, ...]
    next_cursor: str | None
    columns: tuple[str, ...]
    timezone: str = "UTC"
    previous_cursor: str | None = None

    def rows(
        self, *, labels: bool = False, times: Literal["iso", "day_first", "month_first"] = "iso"
    ) -> list[dict[str, str]]:
        """Return the selected columns as display text, one dict per call.

        Example:
            >>> import cdrkit
            >>> cdrkit.open_store("memory://rows-example").run().page().rows(labels=True, times="day_first")
            []

        Args:
            labels: Use labels, such as ``Call Time``, as keys instead of field names.
            times: The style of instants: ``iso``, ``day_first`` or ``month_first``.

        Raises:
            ConfigError: When the style is unknown.
        """
        frame = pl.DataFrame(
            {name: [getattr(record, name) for record in self.records] for name in self.columns},
            schema=empty_frame(self.columns).schema,
        )
        return display_text(frame, self.timezone, labels=labels, times=times).to_dicts()

    def _repr_html_(self) -> str:
        return self._html("There are more. " if self.next_cursor else "")

    def _html(self, more: str) -> str:
        columns = self.columns
        if len(columns) > _MOST_HTML_COLUMNS:  # the query selects no columns: show the usual ones
            columns = (
                tuple(name for name in DEFAULT_COLUMNS if name in columns) or columns[:_MOST_HTML_COLUMNS]
            )
        rows = [[row[name] for name in columns] for row in self.rows()]
        empty = "" if rows else "No calls match. "
        hidden = len(self.columns) - len(columns)
        note = f"{empty}{more}Times in {self.timezone}.{f' {hidden} more columns.' if hidden else ''}"
        return html_table([FIELDS[name].label for name in columns], rows, note=note)
