"""The question: which calls, which columns, in which order, how many; a frozen value that can be sent around."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final, Literal

import attrs

from cdrkit._model import (
    Direction,
    Disposition,
    TimeRange,
    check_preset,
    check_zone,
    find_field,
    format_instant,
    parse_instant,
    resolve_preset,
)
from cdrkit._numbers import MatchKind as Match
from cdrkit._query.cursor import Cursor
from cdrkit._query.expressions import (
    And,
    Comparison,
    Expr,
    In,
    NumberSearch,
    check_size,
    field,
    number_search,
)
from cdrkit._query.serialization import condition_from_dict
from cdrkit._query.url_params import Given, check_keys, flag, group_params, names, whole
from cdrkit.errors import CdrError, QueryError

__all__ = ["Preset", "Query"]


@attrs.frozen
class Preset:
    """A named period of a time zone, such as ``last_7_days``; it becomes a range when the query runs."""

    name: str
    timezone: str


@attrs.frozen(repr=False)
class Query:
    """Which calls are wanted. Every method returns a new query; two are equal when they ask the same.

    Conditions are joined by "and". Without an order, calls come oldest first, by (``start``, ``call_id``).
    A query needs no store: a portal can build one, keep it, send it and compare it.

    Example:
        >>> from cdrkit import Query, field
        >>> query = Query().connected().during("last_7_days").where(field("sip_code") == 200)
        >>> query
        Query().during('last_7_days').where(field('duration') > 0).where(field('sip_code') == 200)
        >>> Query.from_dict(query.to_dict()) == query
        True
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

    # -- which calls --------------------------------------------------------------------------------------------

    def where(self, *conditions: Expr) -> Query:
        """Keep calls for which every one of *conditions* holds.

        Raises:
            QueryError: When something is not a condition.
        """
        found: dict[Expr, None] = dict.fromkeys(self.conditions)
        for condition in conditions:
            if not isinstance(condition, Expr):
                raise QueryError(
                    f"where() takes conditions such as field('sip_code') == 200, not {condition!r}.",
                    parameter="where",
                )
            check_size(condition)
            found.update(dict.fromkeys(condition.parts if isinstance(condition, And) else (condition,)))
        # "and" has no order: queries that ask the same are equal, whatever order they were built in.
        return attrs.evolve(self, conditions=tuple(sorted(found, key=repr)))

    def connected(self) -> Query:
        """Keep calls that were connected: ``duration`` above 0."""
        return self.where(_CONNECTED)

    def during(self, preset: str, timezone: str = "UTC") -> Query:
        """Keep calls that began in a named period.

        Args:
            preset: ``today``, ``yesterday``, ``this_week``, ``last_week`` (weeks begin on Monday), ``this_`` and
                ``last_`` with ``month``, ``quarter``, ``year``: whole calendar periods of the zone.
                ``last_N_minutes``, ``last_N_hours``: up to now. ``last_N_days``, ``last_N_weeks``,
                ``last_N_months``: whole days of the zone, today included.
            timezone: IANA name of the zone whose calendar is meant.

        Raises:
            QueryError: When there is no such preset.
            ConfigError: When there is no such zone.
        """
        wanted = Preset(check_preset(preset), check_zone(timezone))
        if wanted in self.presets:
            return self
        return attrs.evolve(self, presets=tuple(sorted((*self.presets, wanted), key=repr)))

    def between(
        self, start: str | date | datetime | None, end: str | date | datetime | None, timezone: str = "UTC"
    ) -> Query:
        """Keep calls that began at or after *start* and before *end*.

        Args:
            start: Inclusive; an aware datetime, a date (its midnight in *timezone*) or ISO 8601 text; None: no bound.
            end: Exclusive; the same.
            timezone: IANA name of the zone that dates, and texts without an offset, are in.

        Raises:
            QueryError: When one is not a time, is a naive datetime, or *end* is before *start*.
            ConfigError: When there is no such zone.
        """
        zone = check_zone(timezone)
        first = None if start is None else parse_instant(start, zone, parameter="start")
        last = None if end is None else parse_instant(end, zone, parameter="end")
        wanted = TimeRange(first, last)
        return attrs.evolve(self, period=wanted if self.period is None else self.period.intersect(wanted))

    def number(
        self,
        text: str | Iterable[str],
        role: Literal["source", "destination", "either"] = "either",
        match: Match | None = None,
    ) -> Query:
        """Keep calls from or to a number, however it was written.

        Args:
            text: The number as a person types it, or several of which any will do. National form is understood
                in the store's region. ``*`` at the end, the start or both: prefix, suffix, contains.
            role: Where to look: ``source``, ``destination`` or ``either``.
            match: Says the kind of match, and makes ``*`` an ordinary character (``match="exact"`` for ``*98``).

        Raises:
            QueryError: When a text, the role or the match is not one.
        """
        if role not in ("source", "destination", "either"):
            raise QueryError(
                f"There is no role {role!r}; use source, destination or either.", parameter="role"
            )
        return self.where(number_search(text, role, match))

    def cli(self, *numbers: str, match: Match | None = None) -> Query:
        """Keep calls from any of these numbers, however written: the CLI is the source number."""
        return self.where(number_search(numbers, "source", match))

    def did(self, *numbers: str, match: Match | None = None) -> Query:
        """Keep calls that came in on any of these DIDs, however written."""
        return self.where(number_search(numbers, "did", match))

    def customer(self, *ids: str) -> Query:
        """Keep calls of any of these customers."""
        return self._any_of("customer_id", ids)

    def provider(self, *ids: str) -> Query:
        """Keep calls that went to any of these providers."""
        return self._any_of("provider_id", ids)

    def direction(self, *directions: Direction | str) -> Query:
        """Keep calls that went any of these ways: ``inbound``, ``outbound``, ``internal``."""
        return self._any_of("direction", directions)

    def disposition(self, *dispositions: Disposition | str) -> Query:
        """Keep calls that ended in any of these ways, for example ``busy`` or ``no_answer``."""
        return self._any_of("disposition", dispositions)

    def switch(self, *names: str) -> Query:
        """Keep calls that any of these switches handled."""
        return self._any_of("switch", names)

    def _any_of(self, name: str, values: tuple[str, ...]) -> Query:
        if not values:
            raise QueryError(f"Give at least one value for {name}.", parameter=name)
        return self.where(field(name).is_in(values))

    def duration(self, *, at_least: int | None = None, at_most: int | None = None) -> Query:
        """Keep calls by their connected seconds; both bounds are inclusive.

        Raises:
            QueryError: When no bound is given, or one is not a whole number.
        """
        bounds = [(op, value) for op, value in ((">=", at_least), ("<=", at_most)) if value is not None]
        if not bounds:
            raise QueryError("Give at_least=, at_most= or both, in seconds.", parameter="duration")
        return self.where(*(field("duration")._compare(op, value) for op, value in bounds))

    def has_recording(self) -> Query:
        """Keep calls that name a recording."""
        return self.where(_RECORDED)

    # -- what of them, and how ----------------------------------------------------------------------------------

    def columns(self, *names: str) -> Query:
        """Choose the columns of tables and CSV, in this order. Records are always whole.

        Raises:
            UnknownFieldError: When one is not a field.
            QueryError: When one is given twice, or none is given.
        """
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
            raise QueryError(
                f"Choose each column once, and at least one; {list(names)} was given.", parameter="columns"
            )
        return attrs.evolve(self, selected=tuple(find_field(name).name for name in names))

    def newest_first(self) -> Query:
        """Order by (``start``, ``call_id``), latest first."""
        return attrs.evolve(self, order=(("start", True),))

    def oldest_first(self) -> Query:
        """Order by (``start``, ``call_id``), earliest first; so it is without any order too."""
        return attrs.evolve(self, order=())

    def order_by(self, *names: str, descending: bool = False) -> Query:
        """Order by other fields; absent values come last; what ties is ordered by (``start``, ``call_id``).

        Args:
            names: Fields, the most important first; ``-`` in front of one reverses it.
            descending: Reverse all of them.

        Raises:
            UnknownFieldError: When one is not a field.
        """
        if not names:
            raise QueryError("Name at least one field to order by.", parameter="order")
        found: dict[str, bool] = {}
        for name in names:
            if not isinstance(name, str):
                raise QueryError(f"A field to order by is a name, not {name!r}.", parameter="order")
            found.setdefault(find_field(name.removeprefix("-")).name, name.startswith("-") != descending)
        order = tuple(found.items())
        if order[:1] == (("start", order[0][1]),) and order[1:2] in ((), (("call_id", order[0][1]),)):
            order = order[:1]  # what is said behind the last tie says nothing
        return attrs.evolve(self, order=() if order == (("start", False),) else order)

    def limit(self, n: int) -> Query:
        """Stop after *n* calls.

        Raises:
            QueryError: When *n* is not a whole number of 0 or more.
        """
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n < 10**18:
            shown = "one so large" if isinstance(n, int) and abs(n) >= 10**18 else repr(n)
            raise QueryError(f"A limit is a whole number of 0 or more, not {shown}.", parameter="limit")
        return attrs.evolve(self, maximum=n)

    def after(self, cursor: str) -> Query:
        """Go on behind the page whose ``next_cursor`` this is.

        Raises:
            QueryError: When it is not a cursor.
        """
        return attrs.evolve(self, position=Cursor.decode(cursor))

    # -- what the store asks ------------------------------------------------------------------------------------

    def full_order(self) -> tuple[tuple[str, bool], ...]:
        """Return the order down to the last tie: (field, descending), ending with ``start`` and ``call_id``."""
        order = dict(self.order)
        order.setdefault("start", False)
        order.setdefault("call_id", next(iter(order)) == "start" and order["start"])
        return tuple(order.items())

    def time_range(self, now: datetime) -> TimeRange:
        """Return when calls must have begun, with presets resolved at *now*."""
        ranges = [resolve_preset(preset.name, preset.timezone, now) for preset in self.presets]
        return functools.reduce(TimeRange.intersect, ranges, self.period or TimeRange(None, None))

    # -- as text ------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        parts = ["Query()"]
        for preset in self.presets:
            zone = "" if preset.timezone == "UTC" else f", {preset.timezone!r}"
            parts.append(f".during({preset.name!r}{zone})")
        if self.period is not None:
            bounds = (None if i is None else format_instant(i) for i in (self.period.start, self.period.end))
            parts.append(f".between({', '.join(map(repr, bounds))})")
        for condition in self.conditions:
            text = repr(condition)
            parts.append(text if isinstance(condition, NumberSearch) else f".where({text})")
        if self.selected is not None:
            parts.append(f".columns({', '.join(map(repr, self.selected))})")
        if self.order:
            newest = self.order == (("start", True),)
            parts.append(
                ".newest_first()" if newest else f".order_by({', '.join(map(repr, _signed(self.order)))})"
            )
        if self.maximum is not None:
            parts.append(f".limit({self.maximum})")
        if self.position is not None:
            parts.append(f".after({self.position.encode()!r})")
        return "".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the query as a dict of JSON values, without what is not set; see the query format's page."""
        found: dict[str, Any] = {
            "where": [condition.to_dict() for condition in self.conditions],
            "during": [{"preset": preset.name, "timezone": preset.timezone} for preset in self.presets],
            "columns": list(self.selected or ()),
            "order": _signed(self.order),
        }
        found = {key: value for key, value in found.items() if value}
        if self.period is not None:
            bounds = {"start": self.period.start, "end": self.period.end}
            found["between"] = {key: None if at is None else format_instant(at) for key, at in bounds.items()}
        if self.maximum is not None:
            found["limit"] = self.maximum
        if self.position is not None:
            found["after"] = self.position.encode()
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Query:
        """Return the query whose `to_dict` gave *data*.

        Raises:
            QueryError: When it is not such a dict; it names the key and the value.
            ConfigError: When it names a zone that there is not.
        """
        if not isinstance(data, Mapping):
            raise QueryError(f"A query is a dict, not {data!r}.")
        check_keys(data, ("where", "during", "between", "columns", "order", "limit", "after"), "key")
        for key in ("where", "during", "columns", "order"):
            if not isinstance(data.get(key, []), list):
                raise QueryError(f"{key} is a list, not {data[key]!r}.", parameter=key)
        try:
            query = cls().where(*(condition_from_dict(part) for part in data.get("where", [])))
            for preset in data.get("during", []):
                check_keys(preset, ("preset", "timezone"), "key in during")
                query = query.during(preset["preset"], preset.get("timezone", "UTC"))
            if "between" in data:
                check_keys(data["between"], ("start", "end"), "key in between")
                query = query.between(data["between"].get("start"), data["between"].get("end"))
            if "columns" in data:
                query = query.columns(*data["columns"])
            if "order" in data:
                query = query.order_by(*data["order"])
            if "limit" in data:
                query = query.limit(data["limit"])
            return query.after(data["after"]) if "after" in data else query
        except CdrError:
            raise
        except (TypeError, KeyError, ValueError, AttributeError) as exc:
            raise QueryError(f"{dict(data)!r} is not a query: {exc!r}. See the query format's page.") from exc

    def to_params(self) -> list[tuple[str, str]]:
        """Return the query as URL parameters, for ``urllib.parse.urlencode``; `from_params` reads them back."""
        zones = {preset.timezone for preset in self.presets}
        zone = zones.pop() if len(zones) == 1 else None
        pairs = [("during", p.name if zone else f"{p.name}@{p.timezone}") for p in self.presets]
        if zone not in (None, "UTC"):
            pairs.append(("timezone", str(zone)))
        if self.period is not None:
            bounds = (("start", self.period.start), ("end", self.period.end))
            pairs += [(key, "any" if at is None else format_instant(at)) for key, at in bounds]
        pairs += _condition_params(self.conditions)
        if self.selected is not None:
            pairs.append(("columns", ",".join(self.selected)))
        if self.order:
            pairs.append(("order", ",".join(_signed(self.order))))
        if self.maximum is not None:
            pairs.append(("limit", str(self.maximum)))
        if self.position is not None:
            pairs.append(("cursor", self.position.encode()))
        return pairs

    @classmethod
    def from_params(cls, params: object, *, ignore: Iterable[str] = ()) -> Query:
        """Return the query in a URL's parameters, as a browser sent them.

        ``during`` (a preset), ``start`` and ``end`` (ISO 8601; ``any``: no bound), ``timezone`` (of those),
        ``connected``, ``recording`` (1 or 0), ``number`` with ``role`` and ``match``, ``did``, ``customer``,
        ``provider``, ``direction``, ``disposition``, ``switch``, ``min_duration``, ``max_duration``, ``where`` (a
        condition as JSON), ``columns`` and ``order`` (names with commas between; ``-start``: descending), ``limit``,
        ``cursor``. Those that filter, but for the durations, may be given several times.

        Args:
            params: The framework's own (``request.args``, ``request.GET``, ``request.query_params``), a mapping, or
                pairs. Empty values count as not given.
            ignore: Parameters that are not the query's.

        Raises:
            QueryError: When a parameter is unknown, given twice where one is meant, or its value is not allowed; it
                names the parameter and the value.
        """
        given = group_params(params, known=tuple(_READERS), repeatable=_REPEATABLE, ignore=frozenset(ignore))
        query = cls()
        for name, read in _READERS.items():
            if name in given:
                try:
                    query = read(query, given[name], given)
                except (
                    CdrError
                ) as exc:  # the URL is all that its author sees: every message names the parameter
                    raise QueryError(f"{name}={', '.join(given[name])}: {exc}", parameter=name) from exc
        return query


def _signed(order: tuple[tuple[str, bool], ...]) -> list[str]:
    return [f"-{name}" if descending else name for name, descending in order]


_LISTS: Final = {
    "customer": "customer_id",
    "provider": "provider_id",
    "direction": "direction",
    "disposition": "disposition",
    "switch": "switch",
}
_REPEATABLE: Final = frozenset({"during", "number", "did", "where", *_LISTS})


def _condition_params(conditions: tuple[Expr, ...]) -> Iterator[tuple[str, str]]:
    """Yield each condition as a plain parameter where there is one that is still free, else as JSON."""
    used: set[str] = set()
    lists = {field_name: name for name, field_name in _LISTS.items()}

    def free(name: str) -> bool:
        taken = name in used
        used.add(name)
        return not taken

    for condition in conditions:
        if condition == _CONNECTED:
            yield "connected", "1"
        elif condition == _RECORDED:
            yield "recording", "1"
        elif (
            isinstance(condition, In)
            and condition.field in lists
            and all(condition.values)
            and (condition.values and free(lists[condition.field]))
        ):
            yield from ((lists[condition.field], value) for value in condition.values)
        elif (
            isinstance(condition, NumberSearch)
            and condition.role == "did"
            and condition.match is None
            and free("did")
        ):
            yield from (("did", text) for text in condition.texts)
        elif isinstance(condition, NumberSearch) and condition.role != "did" and free("number"):
            yield from (("number", text) for text in condition.texts)
            if condition.role != "either":
                yield "role", condition.role
            if condition.match is not None:
                yield "match", condition.match
        elif isinstance(condition, Comparison) and (bound := _bound_param(condition)) and free(bound):
            yield bound, str(condition.value)
        else:
            yield "where", json.dumps(condition.to_dict(), separators=(",", ":"), ensure_ascii=False)


def _bound_param(condition: Comparison) -> str | None:
    bounds = {">=": "min_duration", "<=": "max_duration"}
    return bounds.get(condition.op) if condition.field == "duration" and condition.value >= 0 else None


_Reader = Callable[[Query, list[str], Given], Query]


def _zone_of(given: Given) -> str:
    return given.get("timezone", ["UTC"])[0]


def _read_during(query: Query, values: list[str], given: Given) -> Query:
    for value in values:
        preset, at, zone = value.partition("@")
        query = query.during(preset, zone if at else _zone_of(given))
    return query


def _read_range(query: Query, values: list[str], given: Given) -> Query:
    start, end = (given.get(name, ["any"])[0] for name in ("start", "end"))
    return query.between(None if start == "any" else start, None if end == "any" else end, _zone_of(given))


def _read_zone(query: Query, values: list[str], given: Given) -> Query:
    check_zone(values[0])
    return query  # what it says is used by the period's parameters


def _read_number(query: Query, values: list[str], given: Given) -> Query:
    role, match = given.get("role", ["either"])[0], given.get("match", [None])[0]
    return query.number(values, role, match)  # type: ignore[arg-type]  # both are checked there


def _read_choice(name: str, choices: tuple[str, ...]) -> _Reader:
    """Return what checks a parameter that is read with the number; a form sends it without one, too."""

    def read(query: Query, values: list[str], given: Given) -> Query:
        if values[0] not in choices:
            raise QueryError(f"use one of {', '.join(choices)}.", parameter=name)
        return query

    return read


def _read_where(query: Query, values: list[str], given: Given) -> Query:
    found: list[Expr] = []
    for value in values:
        try:
            condition = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise QueryError(f"it is not JSON: {exc}.", parameter="where") from exc
        found.append(condition_from_dict(condition))
    return query.where(*found)


def _list_reader(field_name: str) -> _Reader:
    return lambda query, values, given: query._any_of(field_name, tuple(values))


_READERS: Final[dict[str, _Reader]] = {
    "timezone": _read_zone,
    "during": _read_during,
    "start": _read_range,
    "end": _read_range,
    "connected": lambda query, values, given: query.connected() if flag(values[0]) else query,
    "recording": lambda query, values, given: query.has_recording() if flag(values[0]) else query,
    "role": _read_choice("role", ("source", "destination", "either")),
    "match": _read_choice("match", ("exact", "prefix", "suffix", "contains")),
    "number": _read_number,
    "did": lambda query, values, given: query.did(*values),
    **{name: _list_reader(field_name) for name, field_name in _LISTS.items()},
    "min_duration": lambda query, values, given: query.duration(at_least=whole(values[0])),
    "max_duration": lambda query, values, given: query.duration(at_most=whole(values[0])),
    "where": _read_where,
    "columns": lambda query, values, given: query.columns(*names(values[0])),
    "order": lambda query, values, given: query.order_by(*names(values[0])),
    "limit": lambda query, values, given: query.limit(whole(values[0])),
    "cursor": lambda query, values, given: query.after(values[0]),
}

_CONNECTED: Final = field("duration") > 0
_RECORDED: Final = ~field("recording").is_null()
