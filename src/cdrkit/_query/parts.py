"""The parts of a query, and the methods that add them, as a type for the conversions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Literal, Protocol, Self, TypeVar

from cdrkit._model import Preset, TimeRange
from cdrkit._numbers import MatchKind
from cdrkit._query.cursor import Cursor
from cdrkit._query.expressions import Expr

__all__ = ["AnyQuery", "QueryParts"]

#: A query: a function that takes one returns one of that class.
AnyQuery = TypeVar("AnyQuery", bound="QueryParts")


class QueryParts(Protocol):
    """The part of `Query` that the conversions read and build; `Query` describes its methods."""

    @property
    def conditions(self) -> tuple[Expr, ...]:
        """The conditions, all of which a call must meet."""

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The named periods."""

    @property
    def period(self) -> TimeRange | None:
        """The time range; None without one."""

    @property
    def selected(self) -> tuple[str, ...] | None:
        """The names of the columns; None for all."""

    @property
    def order(self) -> tuple[tuple[str, bool], ...]:
        """The sort order, as (field, descending) pairs; empty for the default."""

    @property
    def maximum(self) -> int | None:
        """The limit; None without one."""

    @property
    def position(self) -> Cursor | None:
        """The cursor; None without one."""

    def where(self, *conditions: Expr) -> Self:
        """Add conditions."""

    def connected(self) -> Self:
        """Add the condition that the call was connected."""

    def has_recording(self) -> Self:
        """Add the condition that the call names a recording."""

    def during(self, preset: str, timezone: str = "UTC") -> Self:
        """Add a named period."""

    def between(
        self,
        start: str | date | datetime | None,
        end: str | date | datetime | None,
        timezone: str = "UTC",
    ) -> Self:
        """Add a time range."""

    def number(
        self,
        text: str | Iterable[str],
        role: Literal["source", "destination", "either"] = "either",
        match: MatchKind | None = None,
    ) -> Self:
        """Add a number search."""

    def did(self, *numbers: str) -> Self:
        """Add a search for DIDs."""

    def customer(self, *ids: str) -> Self:
        """Add the customers."""

    def provider(self, *ids: str) -> Self:
        """Add the providers."""

    def direction(self, *directions: str) -> Self:
        """Add the directions."""

    def disposition(self, *dispositions: str) -> Self:
        """Add the outcomes."""

    def switch(self, *names: str) -> Self:
        """Add the switches."""

    def duration(self, *, at_least: int | None = None, at_most: int | None = None) -> Self:
        """Add bounds of the duration."""

    def columns(self, *names: str) -> Self:
        """Select the columns."""

    def order_by(self, *names: str) -> Self:
        """Set the sort order."""

    def limit(self, n: int) -> Self:
        """Set the limit."""

    def after(self, cursor: str) -> Self:
        """Set the cursor."""
