"""A protocol with the properties and methods of `Query`."""

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
    """A protocol with the properties and methods of a query.

    Code that reads and builds queries uses this protocol as a type. `Query` describes each member.
    """

    @property
    def conditions(self) -> tuple[Expr, ...]:
        """The conditions; a call must meet all of them."""

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The named periods; the start of a call must lie in every one of them."""

    @property
    def period(self) -> TimeRange | None:
        """The time range in which a call must start, or None for all times."""

    @property
    def selected(self) -> tuple[str, ...] | None:
        """The names of the columns; None for all."""

    @property
    def order(self) -> tuple[tuple[str, bool], ...]:
        """The sort order, as (field, descending) pairs; empty for the default."""

    @property
    def maximum(self) -> int | None:
        """The maximum number of calls to return, or None for no limit."""

    @property
    def position(self) -> Cursor | None:
        """The cursor that selects the page, or None for the first page."""

    def where(self, *conditions: Expr) -> Self:
        """Match calls that meet all *conditions*."""

    def connected(self) -> Self:
        """Match connected calls: calls whose ``duration`` is above 0."""

    def has_recording(self) -> Self:
        """Match calls in which the field ``recording`` is set."""

    def during(self, preset: str, timezone: str = "UTC") -> Self:
        """Match calls that began in a named period."""

    def between(
        self,
        start: str | date | datetime | None,
        end: str | date | datetime | None,
        timezone: str = "UTC",
    ) -> Self:
        """Match calls that began at or after *start* and before *end*."""

    def number(
        self,
        text: str | Iterable[str],
        role: Literal["source", "destination", "either"] = "either",
        match: MatchKind | None = None,
    ) -> Self:
        """Match calls from or to a telephone number, in any notation."""

    def did(self, *numbers: str) -> Self:
        """Match calls whose DID is one of *numbers*."""

    def customer(self, *ids: str) -> Self:
        """Match calls whose customer is one of *ids*."""

    def provider(self, *ids: str) -> Self:
        """Match calls whose terminating provider is one of *ids*."""

    def direction(self, *directions: str) -> Self:
        """Match calls whose direction is one of *directions*."""

    def disposition(self, *dispositions: str) -> Self:
        """Match calls whose outcome is one of *dispositions*."""

    def switch(self, *names: str) -> Self:
        """Match calls whose switch is one of *names*."""

    def duration(self, *, at_least: int | None = None, at_most: int | None = None) -> Self:
        """Match calls that last from *at_least* to *at_most* seconds."""

    def columns(self, *names: str) -> Self:
        """Choose the columns of tables and CSV output, and their order."""

    def order_by(self, *names: str) -> Self:
        """Set the sort order."""

    def limit(self, n: int) -> Self:
        """Return at most *n* calls."""

    def after(self, cursor: str) -> Self:
        """Continue at the position that *cursor* marks."""
