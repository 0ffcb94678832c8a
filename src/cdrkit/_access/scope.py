"""Scopes: the calls, fields and recordings that one portal viewer may see.

Every plan carries a scope, so that no read can bypass the scope. The scope restricts the query before it is planned
(`Scope.restrict`), and masks each frame before the plan returns it (`Scope.mask_frame`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import polars as pl

from cdrkit._access.audit import AuditEvent
from cdrkit._access.masking import mask_column
from cdrkit._access.signing import TokenSigner
from cdrkit._model import FIELDS, FRAME_TYPES, find_field
from cdrkit._numbers import search_pattern
from cdrkit._query import And, Cursor, Expr, IsNull, MaskedPrefix, Not, NumberSearch, Or, Query, field_names
from cdrkit.errors import QueryError, ScopeError

__all__ = ["EVERYTHING", "IDENTITY", "Scope", "query_fields"]

#: The fields that identify a call.
IDENTITY: Final = ("start", "call_id")


@attrs.frozen(kw_only=True, eq=False)
class Scope:
    """A scope: the calls, fields and recordings that one portal viewer may see.

    Attributes:
        tenant: The name of the tenant, for messages and audit events.
        conditions: The conditions that every visible call matches.
        earliest: The start of the earliest visible call, inclusive; None for no limit.
        hidden: The fields that do not exist for the portal viewer.
        masks: The number of final digits masked, by field; None masks the whole value.
        rights: The allowed uses of recordings.
        viewer: The name of the portal viewer, for audit events.
        audit: The function that receives an event before each export and each use of a recording.
        signer: The signer of cursors and tokens, or None if they need no signature.
        cursor_seconds: The lifetime of a cursor in seconds.
    """

    tenant: str = ""
    conditions: tuple[Expr, ...] = ()
    earliest: datetime | None = None
    hidden: frozenset[str] = frozenset()
    masks: Mapping[str, int | None] = attrs.field(factory=dict)
    rights: frozenset[str] = frozenset()
    viewer: str = ""
    audit: Callable[[AuditEvent], object] | None = None
    signer: TokenSigner | None = None
    cursor_seconds: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """The visible fields, in the order of the field catalogue."""
        return tuple(name for name in FIELDS if name not in self.hidden)

    # -- queries --------------------------------------------------------------------------------------------------

    def restrict(self, query: Query) -> Query:
        """Restrict *query* to visible calls, and its number searches to visible digits.

        Raises:
            UnknownFieldError: When the query uses a hidden field. The message does not reveal that the field exists.
            ScopeError: When the query compares or sorts masked values.
            QueryError: When its cursor belongs to another portal viewer, was changed, or has expired.
        """
        if self is EVERYTHING:
            return query
        self._check_names(query)
        cursor = query.position
        if (
            cursor is not None
            and self.signer is not None
            and not self.signer.verify("cursor", cursor.payload, cursor.signature)
        ):
            raise QueryError(
                "The cursor belongs to another portal viewer, was changed, or has expired. Request the first page "
                "instead.",
                parameter="cursor",
            )
        conditions = tuple(self._respect_masks(condition) for condition in query.conditions)
        return self.add_conditions(attrs.evolve(query, conditions=conditions))

    def add_conditions(self, query: Query) -> Query:
        """Restrict *query* to visible calls, without applying masks."""
        return query.where(*self.conditions).between(self.earliest, None)

    def _check_names(self, query: Query) -> None:
        for name in query_fields(query):
            find_field(name, among=self.fields)
        for name, _ in query.order:
            if name in self.masks:
                raise _mask_error(name, "Sort by another field.")

    def _respect_masks(self, expr: Expr) -> Expr:
        """Limit *expr* so that searches on masked fields match visible digits only."""
        if isinstance(expr, Not):
            return ~self._respect_masks(expr.inner)
        if isinstance(expr, (And, Or)):
            return type(expr)(tuple(self._respect_masks(part) for part in expr.parts))
        masked = sorted(field_names(expr) & self.masks.keys())
        if not masked or isinstance(expr, IsNull):
            return expr
        if not isinstance(expr, NumberSearch):
            raise _mask_error(masked[0], "Use a number search for its first digits, such as '+44207*'.")
        if any(search_pattern(text, None, expr.match).kind != "prefix" for text in expr.texts):
            raise _mask_error(masked[0], "Search for its first digits, such as '+44207*'.")
        parts = [self._search_field(expr, name) for name in expr.fields]
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _search_field(self, search: NumberSearch, name: str) -> Expr:
        if name in self.masks:
            return MaskedPrefix(name, search.texts, self.masks[name] or 0, search.match)
        return attrs.evolve(search, role=name)

    # -- frames ---------------------------------------------------------------------------------------------------

    def visible_columns(self, columns: Sequence[str]) -> Sequence[str]:
        """Return the visible *columns*, or the identity fields if all are hidden."""
        if not self.hidden:
            return columns
        return [name for name in columns if name not in self.hidden] or list(IDENTITY)

    def mask_frame(self, frame: pl.DataFrame, columns: Sequence[str], region: str | None) -> pl.DataFrame:
        """Return *columns* of *frame*, with masks applied and hidden fields set to null.

        Args:
            frame: The calls, with those *columns* that are visible.
            columns: The columns to return.
            region: The region to which numbers in national form belong, or None.
        """
        if not self.hidden and not self.masks:
            return frame
        masked = [
            mask_column(frame[name], digits, region)
            for name, digits in self.masks.items()
            if name in frame.columns
        ]
        nulls = [pl.lit(None, dtype=FRAME_TYPES[name]).alias(name) for name in columns if name in self.hidden]
        return frame.with_columns(masked).with_columns(nulls).select(columns)

    # -- cursors, audit and rights --------------------------------------------------------------------------------

    def sign_cursor(self, cursor: Cursor) -> Cursor:
        """Return *cursor* with the scope's signature, if the scope signs cursors."""
        if self.signer is None:
            return cursor
        signature = self.signer.sign("cursor", cursor.payload, self.cursor_seconds)
        return attrs.evolve(cursor, signature=signature)

    def notify_audit(self, action: str, **facts: Any) -> None:
        """Call the audit function, if any, with an event for *action*."""
        if self.audit is not None:
            self.audit(
                AuditEvent(
                    viewer=self.viewer, tenant=self.tenant, action=action, at=datetime.now(UTC), **facts
                )
            )

    def check_right(self, right: str) -> None:
        """Raise an error if the scope does not allow this use of recordings.

        Raises:
            ScopeError: When the portal viewer lacks the right.
        """
        if self is not EVERYTHING and right not in self.rights:
            raise ScopeError(
                f"This portal viewer may not {right} recordings. To allow this, pass "
                f"recordings=[{right!r}] to Store.scoped()."
            )


#: The scope of a whole store.
EVERYTHING: Final = Scope()


def query_fields(query: Query) -> tuple[str, ...]:
    """Return the fields that *query* uses in its conditions, columns and order."""
    names = sorted({name for condition in query.conditions for name in field_names(condition)})
    return (*names, *(query.selected or ()), *(name for name, _ in query.order))


def _mask_error(name: str, advice: str) -> ScopeError:
    return ScopeError(f"{name} is masked: a query cannot compare or sort its hidden digits. {advice}")
