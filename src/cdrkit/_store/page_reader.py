"""Read one page of a query's calls, and sign the cursors of the adjacent pages."""

from __future__ import annotations

import attrs

from cdrkit._engine import Plan
from cdrkit._model import FIELDS, CallRecord, records_of
from cdrkit._query import Cursor
from cdrkit._store.page import Page

__all__ = ["PageReader"]


@attrs.frozen
class PageReader:
    """A reader of one page of a query's result.

    Attributes:
        plan: The plan of the query, with its cursor.
        columns: The columns of the page.
        timezone: The zone of the page's display times.
    """

    plan: Plan
    columns: tuple[str, ...]
    timezone: str

    def read(self, size: int) -> Page | None:
        """Return the page at the plan's cursor; by default, the first page.

        The result is None if the cursor is backward and no call precedes it.
        """
        cursor = self.plan.position
        if cursor is not None and cursor.backward:
            return self._read_previous(size, cursor)
        left = self.plan.maximum
        records = self._records(self.plan, size)
        has_next = len(records) > size
        del records[size:]
        after = self._cursor(records[-1], None if left is None else left - size) if has_next else None
        before = self._cursor(records[0], left, backward=True) if cursor is not None and records else None
        return self._page(records, before, after)

    def _read_previous(self, size: int, cursor: Cursor) -> Page | None:
        records = self._records(self.plan.backward(), size)
        if not records:
            return None
        has_previous = len(records) > size
        del records[size:]
        records.reverse()
        left = None if cursor.left is None else cursor.left + len(records)
        before = self._cursor(records[0], left, backward=True) if has_previous else None
        return self._page(records, before, self._cursor(records[-1], cursor.left))

    def _records(self, plan: Plan, size: int) -> list[CallRecord]:
        """Return up to *size* + 1 records; an extra record means another page exists."""
        maximum = size + 1 if plan.maximum is None else min(size + 1, plan.maximum)
        frames = attrs.evolve(plan, maximum=maximum).frames(tuple(FIELDS))
        return [record for frame in frames for record in records_of(frame)]

    def _cursor(self, record: CallRecord, left: int | None, *, backward: bool = False) -> str:
        order = self.plan.order
        values = tuple(getattr(record, name) for name, _ in order)
        return self.plan.scope.sign_cursor(Cursor(order, values, left, backward=backward)).encode()

    def _page(self, records: list[CallRecord], before: str | None, after: str | None) -> Page:
        return Page(
            records=tuple(records),
            next_cursor=after,
            columns=self.columns,
            timezone=self.timezone,
            previous_cursor=before,
        )
