"""Queries: immutable descriptions of the calls to return."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Literal

import attrs

from cdrkit._model import (
    Direction,
    DirectionName,
    Disposition,
    DispositionName,
    FieldName,
    Preset,
    PresetName,
    TimeRange,
    check_preset,
    check_zone,
    find_field,
    parse_instant,
    resolve_preset,
)
from cdrkit._numbers import MatchKind
from cdrkit._query.cursor import Cursor
from cdrkit._query.expressions import And, Expr, check_size, number_search
from cdrkit._query.field_ref import CONNECTED, RECORDED, field, match_any
from cdrkit._query.serialization import query_text, query_to_dict, read_query
from cdrkit._query.url_params import query_to_params, read_params
from cdrkit.errors import QueryError

__all__ = ["Query"]


@attrs.frozen(repr=False)
class Query:
    """A description of a set of calls: conditions, columns, order and limit.

    A query is immutable: every method returns a new query. Queries with the same meaning are equal. Conditions are
    combined with "and". Without an order, the oldest call comes first. A query needs no store.

    Example:
        >>> from cdrkit import Query, field
        >>> query = Query().connected().during("last_7_days").where(field("sip_code") == 200)
        >>> query
        Query().during('last_7_days').where(field('duration') > 0).where(field('sip_code') == 200)
        >>> query.to_params()
        [('during', 'last_7_days'), ('connected', '1'), ('where', '{"field":"sip_code","op":"==","value":200}')]
        >>> Query.from_params(query.to_params()) == query
        True
    """

    conditions: tuple[Expr, ...] = ()
    presets: tuple[Preset, ...] = ()
    period: TimeRange | None = None
    selected: tuple[str, ...] | None = None
    order: tuple[tuple[str, bool], ...] = ()
    maximum: int | None = None
    position: Cursor | None = None

    def where(self, *conditions: Expr) -> Query:
        """Match calls that meet all *conditions*.

        Raises:
            QueryError: When an argument is not a condition, or a condition is too large.

        Example:
            >>> Query().where(field("sip_code").is_in([486, 600]), field("duration") == 0)
            Query().where(field('duration') == 0).where(field('sip_code').is_in([486, 600]))
        """
        merged: dict[Expr, None] = dict.fromkeys(self.conditions)
        for condition in conditions:
            if not isinstance(condition, Expr):
                raise QueryError(
                    f"where() takes conditions such as field('sip_code') == 200, not {condition!r}.",
                    parameter="where",
                )
            check_size(condition)
            merged.update(dict.fromkeys(condition.parts if isinstance(condition, And) else (condition,)))
        # "and" has no order, so that queries are equal in whatever order their conditions were added.
        return attrs.evolve(self, conditions=tuple(sorted(merged, key=repr)))

    def connected(self) -> Query:
        """Match connected calls: calls whose ``duration`` is above 0.

        Example:
            >>> Query().connected()
            Query().where(field('duration') > 0)
        """
        return self.where(CONNECTED)

    def during(self, preset: PresetName | str, timezone: str = "UTC") -> Query:
        """Match calls that began in a named period.

        Each run of the query converts the period to a time range.

        Args:
            preset: ``today``, ``yesterday``, or ``this_`` or ``last_`` with ``week`` (from Monday on), ``month``,
                ``quarter`` or ``year``: a whole period of the zone's calendar. ``last_N_minutes`` and
                ``last_N_hours`` end now. ``last_N_days``, ``last_N_weeks`` and ``last_N_months`` are whole days of
                the zone, and include today.
            timezone: IANA name of the calendar's time zone.

        Raises:
            QueryError: When the preset is unknown.
            ConfigError: When the zone is unknown.

        Example:
            >>> Query().during("last_month", "Europe/London")
            Query().during('last_month', 'Europe/London')
        """
        added = Preset(check_preset(preset), check_zone(timezone))
        return attrs.evolve(self, presets=tuple(sorted({*self.presets, added}, key=repr)))

    def between(
        self, start: str | date | datetime | None, end: str | date | datetime | None, timezone: str = "UTC"
    ) -> Query:
        """Match calls that began at or after *start* and before *end*.

        Args:
            start: The first instant, inclusive: an aware datetime, a date (from its midnight in *timezone*) or ISO
                8601 text. None: no bound.
            end: The end of the range, exclusive, in one of these types. None: no bound.
            timezone: IANA name of the time zone for dates and for text without an offset.

        Raises:
            QueryError: When a bound is not a time or is a naive datetime, or *end* is before *start*.
            ConfigError: When the zone is unknown.

        Example:
            >>> Query().between("2026-07-01", "2026-08-01", "Europe/London")
            Query().between('2026-06-30T23:00:00Z', '2026-07-31T23:00:00Z')
        """
        zone = check_zone(timezone)
        first = None if start is None else parse_instant(start, zone, parameter="start")
        last = None if end is None else parse_instant(end, zone, parameter="end")
        return attrs.evolve(self, period=(self.period or TimeRange()).intersect(TimeRange(first, last)))

    def number(
        self,
        text: str | Iterable[str],
        role: Literal["source", "destination", "either"] = "either",
        match: MatchKind | None = None,
    ) -> Query:
        """Match calls from or to a telephone number, in any notation.

        Args:
            text: The number as a person types it, or several numbers as alternatives. The region of the store
                applies to numbers in national form. A ``*`` at the end, the start or both ends searches for a
                prefix, a suffix or a part.
            role: The fields to search: ``source``, ``destination`` or ``either``.
            match: The kind of match, which makes ``*`` an ordinary character: ``match="exact"`` finds ``*98``.

        Raises:
            QueryError: When a number contains nothing to search for, or when the role or the kind of match is unknown.

        Example:
            >>> Query().number("020 7946 0018")
            Query().number('020 7946 0018', role='either')
        """
        if role not in ("source", "destination", "either"):
            raise QueryError(
                f"Unknown role {role!r}; use 'source', 'destination' or 'either'.", parameter="role"
            )
        return self.where(number_search(text, role, match))

    def cli(self, *numbers: str, match: MatchKind | None = None) -> Query:
        """Match calls whose source number (CLI) is one of *numbers*.

        Numbers match in any notation. See `number` for the arguments.

        Raises:
            QueryError: When no number is given, a number has nothing to search for, or *match* is unknown.

        Example:
            >>> Query().cli("020 7946 0018")
            Query().number('020 7946 0018', role='source')
        """
        return self.where(number_search(numbers, "source", match))

    def did(self, *numbers: str, match: MatchKind | None = None) -> Query:
        """Match calls whose DID is one of *numbers*.

        Numbers match in any notation. See `number` for the arguments.

        Raises:
            QueryError: When no number is given, a number has nothing to search for, or *match* is unknown.

        Example:
            >>> Query().did("020 7946 01*")
            Query().did('020 7946 01*')
        """
        return self.where(number_search(numbers, "did", match))

    def customer(self, *ids: str) -> Query:
        """Match calls whose customer is one of *ids*.

        Raises:
            QueryError: When no identifier is given, or an identifier is not text.

        Example:
            >>> Query().customer("1003", "1004")
            Query().where(field('customer_id').is_in(['1003', '1004']))
        """
        return self.where(match_any("customer_id", ids))

    def provider(self, *ids: str) -> Query:
        """Match calls whose terminating provider is one of *ids*.

        Raises:
            QueryError: When no identifier is given, or an identifier is not text.

        Example:
            >>> Query().provider("P01")
            Query().where(field('provider_id').is_in(['P01']))
        """
        return self.where(match_any("provider_id", ids))

    def direction(self, *directions: Direction | DirectionName | str) -> Query:
        """Match calls whose direction is one of *directions*.

        Args:
            directions: ``inbound``, ``outbound`` or ``internal``; case does not matter.

        Raises:
            QueryError: When no direction is given, or a direction is unknown.

        Example:
            >>> Query().direction("inbound")
            Query().where(field('direction').is_in(['inbound']))
        """
        return self.where(match_any("direction", directions, ignore_case=True))

    def disposition(self, *dispositions: Disposition | DispositionName | str) -> Query:
        """Match calls whose outcome is one of *dispositions*.

        Args:
            dispositions: Words of `Disposition`, such as ``busy``; case does not matter.

        Raises:
            QueryError: When no outcome is given, or an outcome is unknown.

        Example:
            >>> Query().disposition("BUSY", "no_answer")
            Query().where(field('disposition').is_in(['busy', 'no_answer']))
        """
        return self.where(match_any("disposition", dispositions, ignore_case=True))

    def switch(self, *names: str) -> Query:
        """Match calls whose switch is one of *names*.

        Raises:
            QueryError: When no name is given, or a name is not text.

        Example:
            >>> Query().switch("pbx1")
            Query().where(field('switch').is_in(['pbx1']))
        """
        return self.where(match_any("switch", names))

    def duration(self, *, at_least: int | None = None, at_most: int | None = None) -> Query:
        """Match calls by their duration, which is the connected time in seconds.

        Args:
            at_least: The least duration in seconds, inclusive.
            at_most: The greatest duration in seconds, inclusive.

        Raises:
            QueryError: When neither bound is given, or a bound is not a whole number.

        Example:
            >>> Query().duration(at_least=60)
            Query().where(field('duration') >= 60)
        """
        bounds = [(op, value) for op, value in ((">=", at_least), ("<=", at_most)) if value is not None]
        if not bounds:
            raise QueryError(
                "duration() needs at_least=, at_most= or both, in seconds.", parameter="duration"
            )
        return self.where(*(field("duration")._compare(op, value) for op, value in bounds))

    def has_recording(self) -> Query:
        """Match calls whose ``recording`` field has a value.

        Example:
            >>> Query().has_recording()
            Query().where(~(field('recording').is_null()))
        """
        return self.where(RECORDED)

    def columns(self, *names: FieldName | str | Iterable[FieldName | str]) -> Query:
        """Choose the columns of tables and CSV output, and their order.

        Records always have every field.

        Args:
            names: Names of fields, or one list of names.

        Raises:
            UnknownFieldError: When a field is unknown.
            QueryError: When no field is given, or a field is given twice.

        Example:
            >>> Query().columns("start", "source") == Query().columns(["start", "source"])
            True
        """
        chosen: tuple[Any, ...] = names
        if len(names) == 1 and not isinstance(names[0], str) and isinstance(names[0], Iterable):
            chosen = tuple(names[0])
        if not chosen or not all(isinstance(name, str) for name in chosen) or len(set(chosen)) != len(chosen):
            raise QueryError(
                f"The columns {list(chosen)} cannot be selected. Give at least one field, and no field twice.",
                parameter="columns",
            )
        return attrs.evolve(self, selected=tuple(find_field(name).name for name in chosen))

    def newest_first(self) -> Query:
        """Sort by (``start``, ``call_id``), latest first.

        Example:
            >>> Query().newest_first() == Query().order_by("-start")
            True
        """
        return attrs.evolve(self, order=(("start", True),))

    def oldest_first(self) -> Query:
        """Sort by (``start``, ``call_id``), earliest first, which is the default.

        Example:
            >>> Query().newest_first().oldest_first() == Query()
            True
        """
        return attrs.evolve(self, order=())

    def order_by(self, *names: FieldName | str, descending: bool = False) -> Query:
        """Sort the calls by one or more fields.

        Absent values come last. Ties are sorted by (``start``, ``call_id``).

        Args:
            names: Names of fields, the most important first; a ``-`` in front of a name reverses its order.
            descending: Reverse the order of every field.

        Raises:
            UnknownFieldError: When a field is unknown.
            QueryError: When no field is given, or a name is not text.

        Example:
            >>> Query().order_by("-charge", "source")
            Query().order_by('-charge', 'source')
        """
        if not names:
            raise QueryError("order_by() needs at least one field name.", parameter="order")
        directions: dict[str, bool] = {}
        for name in names:
            if not isinstance(name, str):
                raise QueryError(
                    f"order_by() takes field names, not {name!r}; write the name in quotes.",
                    parameter="order",
                )
            directions.setdefault(find_field(name.removeprefix("-")).name, name.startswith("-") != descending)
        order = tuple(directions.items())
        if order[:1] == (("start", order[0][1]),) and order[1:2] in ((), (("call_id", order[0][1]),)):
            order = order[:1]  # (start, call_id) leaves no ties, so that further fields have no effect
        return attrs.evolve(self, order=() if order == (("start", False),) else order)

    def limit(self, n: int) -> Query:
        """Return at most *n* calls.

        Raises:
            QueryError: When *n* is not a whole number of 0 or more.

        Example:
            >>> Query().newest_first().limit(10)
            Query().newest_first().limit(10)
        """
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < 10**18:
            shown = "a number of 19 digits or more" if isinstance(n, int) and abs(n) >= 10**18 else repr(n)
            raise QueryError(f"A limit must be a whole number of 0 or more, not {shown}.", parameter="limit")
        return attrs.evolve(self, maximum=n)

    def after(self, cursor: str) -> Query:
        """Continue at the position that *cursor* marks.

        Args:
            cursor: The ``next_cursor`` or ``previous_cursor`` of a `Page` in the same order as the query.

        Raises:
            QueryError: When *cursor* is not a cursor.

        Example:
            >>> import cdrkit
            >>> store = cdrkit.open_store("memory://query-after")
            >>> start = "2026-11-22T09:30:00Z"
            >>> report = store.append([{"call_id": "1", "start": start}, {"call_id": "2", "start": start}])
            >>> first = store.run(cdrkit.Query()).page(1)
            >>> store.run(cdrkit.Query().after(first.next_cursor)).page(1).records[0].call_id
            '2'
        """
        return attrs.evolve(self, position=Cursor.decode(cursor))

    def full_order(self) -> tuple[tuple[str, bool], ...]:
        """Return the complete sort order as (field, descending) pairs.

        Two calls never tie, because the order includes ``start`` and ``call_id``.

        Example:
            >>> Query().newest_first().full_order()
            (('start', True), ('call_id', True))
        """
        order = dict(self.order)
        order.setdefault("start", False)
        order.setdefault("call_id", next(iter(order)) == "start" and order["start"])
        return tuple(order.items())

    def time_range(self, now: datetime) -> TimeRange:
        """Intersect the period and the presets, and return the range of start times.

        Args:
            now: The current instant, as an aware datetime.

        Raises:
            QueryError: When *now* is naive, or a preset reaches outside the years 1 to 9999.

        Example:
            >>> from datetime import UTC, datetime
            >>> print(Query().during("yesterday").time_range(datetime(2026, 11, 22, 9, 30, tzinfo=UTC)))
            [2026-11-21T00:00:00Z, 2026-11-22T00:00:00Z)
        """
        ranges = [resolve_preset(preset.name, preset.timezone, now) for preset in self.presets]
        return functools.reduce(TimeRange.intersect, ranges, self.period or TimeRange(None, None))

    def __repr__(self) -> str:
        return query_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the query as a dict of JSON values, without unset parts.

        Example:
            >>> Query().during("today").limit(10).to_dict()
            {'during': [{'preset': 'today', 'timezone': 'UTC'}], 'limit': 10}
        """
        return query_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Query:
        """Build a query from a dict that `to_dict` returned.

        Raises:
            QueryError: When *data* is not such a dict. The error names the key and the value.
            ConfigError: When *data* names an unknown zone.

        Example:
            >>> Query.from_dict({"order": ["-start"], "limit": 10})
            Query().newest_first().limit(10)
        """
        return read_query(cls(), data)

    def to_params(self) -> list[tuple[str, str]]:
        """Return the query as URL parameters, for ``urllib.parse.urlencode``.

        Example:
            >>> from urllib.parse import urlencode
            >>> urlencode(Query().during("today", "Europe/London").customer("1003").to_params())
            'during=today&timezone=Europe%2FLondon&customer=1003'
        """
        return query_to_params(self)

    @classmethod
    def from_params(cls, params: object, *, ignore: Iterable[str] = ()) -> Query:
        """Build a query from the URL parameters that a browser sent.

        - ``during``: a preset. ``start`` and ``end``: ISO 8601 text, or ``any`` for no bound. ``timezone``: the time
          zone for ``during``, ``start`` and ``end``.
        - ``connected`` and ``recording``: 1 or 0. ``where``: a condition as JSON.
        - ``number``, with ``role`` and ``match``; ``did``.
        - ``customer``, ``provider``, ``direction``, ``disposition``, ``switch``.
        - ``min_duration`` and ``max_duration``: seconds, inclusive.
        - ``columns`` and ``order``: comma-separated names; ``-start`` is descending. ``limit``, ``cursor``.

        ``during``, ``number``, ``did``, ``customer``, ``provider``, ``direction``, ``disposition``, ``switch`` and
        ``where`` may be repeated.

        Args:
            params: The parameters as a framework represents them (``request.args``, ``request.GET``,
                ``request.query_params``), a mapping, or pairs. Empty values count as absent.
            ignore: Names of parameters that do not belong to the query.

        Raises:
            QueryError: When a parameter is unknown, wrong or must not repeat. The error names parameter and value.

        Example:
            >>> Query.from_params({"connected": "1", "order": "-start", "tab": "calls"}, ignore=["tab"])
            Query().where(field('duration') > 0).newest_first()
        """
        return read_params(cls(), params, ignore=ignore)
