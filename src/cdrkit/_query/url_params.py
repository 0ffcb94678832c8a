"""Conversion of queries to URL parameters and back.

A condition becomes a plain parameter, such as ``customer=1003``, where one exists; any other condition becomes JSON in
a ``where`` parameter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from cdrkit._model import check_zone, format_instant
from cdrkit._query.expressions import Comparison, Expr, In, NumberSearch
from cdrkit._query.field_ref import CONNECTED, RECORDED
from cdrkit._query.parameters import Given, group_params, parse_count, parse_flag, split_names
from cdrkit._query.parts import AnyQuery, QueryParts
from cdrkit._query.serialization import condition_from_dict, order_names
from cdrkit.errors import CdrError, QueryError

__all__ = ["query_to_params", "read_params"]

#: The parameters whose values are alternatives of one field.
_LISTS: Final = {
    "customer": "customer_id",
    "provider": "provider_id",
    "direction": "direction",
    "disposition": "disposition",
    "switch": "switch",
}
_REPEATABLE: Final = frozenset({"during", "number", "did", "where", *_LISTS})


def query_to_params(query: QueryParts) -> list[tuple[str, str]]:
    """Return a query as (name, value) pairs for a URL."""
    zones = {preset.timezone for preset in query.presets}
    zone = zones.pop() if len(zones) == 1 else None
    pairs = [("during", p.name if zone else f"{p.name}@{p.timezone}") for p in query.presets]
    if zone not in (None, "UTC"):
        pairs.append(("timezone", str(zone)))
    if query.period is not None:
        bounds = (("start", query.period.start), ("end", query.period.end))
        pairs += [(key, "any" if at is None else format_instant(at)) for key, at in bounds]
    pairs += _condition_params(query.conditions)
    if query.selected is not None:
        pairs.append(("columns", ",".join(query.selected)))
    if query.order:
        pairs.append(("order", ",".join(order_names(query.order))))
    if query.maximum is not None:
        pairs.append(("limit", str(query.maximum)))
    if query.position is not None:
        pairs.append(("cursor", query.position.encode()))
    return pairs


def read_params(query: AnyQuery, params: object, *, ignore: Iterable[str] = ()) -> AnyQuery:
    """Build a query from URL parameters.

    The result is *query*, which must be empty, with the parts that the parameters define.

    Raises:
        QueryError: When a parameter is unknown, has a wrong value, or is repeated although it must not be. The error
            names the parameter and the value.
    """
    given = group_params(params, known=tuple(_READERS), repeatable=_REPEATABLE, ignore=frozenset(ignore))
    for name, read in _READERS.items():
        if name in given:
            try:
                query = read(query, given[name], given)
            except (
                CdrError
            ) as exc:  # the author of a URL sees nothing else, so that each message names the parameter
                raise QueryError(f"{name}={', '.join(given[name])}: {exc}", parameter=name) from exc
    return query


def _condition_params(conditions: tuple[Expr, ...]) -> Iterator[tuple[str, str]]:
    """Yield each condition as URL parameters if possible, otherwise as JSON."""
    used: set[str] = set()
    for condition in conditions:
        pairs = _plain_params(condition)
        name = pairs[0][0] if pairs else "where"
        if pairs and (name in ("connected", "recording") or name not in used):
            used.add(name)
            yield from pairs
        else:
            yield "where", json.dumps(condition.to_dict(), separators=(",", ":"), ensure_ascii=False)


def _plain_params(condition: Expr) -> list[tuple[str, str]]:
    """Return a condition as URL parameters, or [] if only JSON can express it."""
    if condition == CONNECTED:
        return [("connected", "1")]
    if condition == RECORDED:
        return [("recording", "1")]
    if isinstance(condition, In):
        name = next((name for name, field_name in _LISTS.items() if field_name == condition.field), None)
        is_plain = name is not None and all(condition.values)  # an empty value would count as absent
        return [(str(name), value) for value in condition.values] if is_plain else []
    if isinstance(condition, NumberSearch):
        return _number_params(condition)
    if isinstance(condition, Comparison) and condition.field == "duration" and condition.value >= 0:
        bound = {">=": "min_duration", "<=": "max_duration"}.get(condition.op)
        return [(bound, str(condition.value))] if bound else []
    return []


def _number_params(search: NumberSearch) -> list[tuple[str, str]]:
    if search.role == "did":
        return [("did", text) for text in search.texts] if search.match is None else []
    pairs = [("number", text) for text in search.texts]
    if search.role != "either":
        pairs.append(("role", search.role))
    if search.match is not None:
        pairs.append(("match", search.match))
    return pairs


class _Reader(Protocol):
    """A function that adds the values of one parameter to a query."""

    def __call__(self, query: AnyQuery, values: list[str], given: Given, /) -> AnyQuery: ...


def _zone_of(given: Given) -> str:
    return given.get("timezone", ["UTC"])[0]


def _read_during(query: AnyQuery, values: list[str], given: Given) -> AnyQuery:
    for value in values:
        preset, at, zone = value.partition("@")
        query = query.during(preset, zone if at else _zone_of(given))
    return query


def _read_range(query: AnyQuery, values: list[str], given: Given) -> AnyQuery:
    start, end = (given.get(name, ["any"])[0] for name in ("start", "end"))
    return query.between(None if start == "any" else start, None if end == "any" else end, _zone_of(given))


def _read_zone(query: AnyQuery, values: list[str], given: Given) -> AnyQuery:
    check_zone(values[0])
    return query  # the parameters of the period read the zone


def _read_number(query: AnyQuery, values: list[str], given: Given) -> AnyQuery:
    role, match = given.get("role", ["either"])[0], given.get("match", [None])[0]
    return query.number(values, role, match)  # type: ignore[arg-type]  # number() checks both


def _choice_reader(name: str, choices: tuple[str, ...]) -> _Reader:
    """Return a function that checks the value of *name* against *choices*.

    `_read_number` uses the value. The check is separate because a form also sends the parameter without a number.
    """

    def read(query: AnyQuery, values: list[str], given: Given) -> AnyQuery:
        if values[0] not in choices:
            raise QueryError(f"use one of {', '.join(choices)}.", parameter=name)
        return query

    return read


def _read_where(query: AnyQuery, values: list[str], given: Given) -> AnyQuery:
    conditions: list[Any] = []
    for value in values:
        try:
            data = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise QueryError(f"the value is not JSON: {exc}.", parameter="where") from exc
        conditions.append(condition_from_dict(data))
    return query.where(*conditions)


_READERS: Final[dict[str, _Reader]] = {
    "timezone": _read_zone,
    "during": _read_during,
    "start": _read_range,
    "end": _read_range,
    "connected": lambda query, values, given: query.connected() if parse_flag(values[0]) else query,
    "recording": lambda query, values, given: query.has_recording() if parse_flag(values[0]) else query,
    "role": _choice_reader("role", ("source", "destination", "either")),
    "match": _choice_reader("match", ("exact", "prefix", "suffix", "contains")),
    "number": _read_number,
    "did": lambda query, values, given: query.did(*values),
    "customer": lambda query, values, given: query.customer(*values),
    "provider": lambda query, values, given: query.provider(*values),
    "direction": lambda query, values, given: query.direction(*values),
    "disposition": lambda query, values, given: query.disposition(*values),
    "switch": lambda query, values, given: query.switch(*values),
    "min_duration": lambda query, values, given: query.duration(at_least=parse_count(values[0])),
    "max_duration": lambda query, values, given: query.duration(at_most=parse_count(values[0])),
    "where": _read_where,
    "columns": lambda query, values, given: query.columns(*split_names(values[0])),
    "order": lambda query, values, given: query.order_by(*split_names(values[0])),
    "limit": lambda query, values, given: query.limit(parse_count(values[0])),
    "cursor": lambda query, values, given: query.after(values[0]),
}
