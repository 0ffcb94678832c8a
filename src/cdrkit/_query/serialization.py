"""Conversion of queries and conditions to dicts of JSON values and back."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any, Final

from cdrkit._model import format_instant
from cdrkit._query.expressions import (
    MAX_DEPTH,
    MAX_PARTS,
    OPERATORS,
    And,
    Expr,
    NumberSearch,
    Or,
    number_search,
)
from cdrkit._query.field_ref import FieldRef, field
from cdrkit._query.parameters import check_keys
from cdrkit._query.parts import AnyQuery, QueryParts
from cdrkit.errors import CdrError, QueryError

__all__ = ["condition_from_dict", "order_names", "query_text", "query_to_dict", "read_query"]

_TEXT_OPS: Final = ("contains", "starts_with", "ends_with")
_OPS: Final = (*OPERATORS, "in", "is_null", *_TEXT_OPS)


def order_names(order: tuple[tuple[str, bool], ...]) -> list[str]:
    """Return the field names of a sort order; ``-`` marks a descending field."""
    return [f"-{name}" if descending else name for name, descending in order]


def query_text(query: QueryParts) -> str:
    """Return a query as the Python expression that creates it."""
    parts = ["Query()"]
    for preset in query.presets:
        zone = "" if preset.timezone == "UTC" else f", {preset.timezone!r}"
        parts.append(f".during({preset.name!r}{zone})")
    if query.period is not None:
        bounds = (None if i is None else format_instant(i) for i in (query.period.start, query.period.end))
        parts.append(f".between({', '.join(map(repr, bounds))})")
    for condition in query.conditions:
        text = repr(condition)
        parts.append(text if isinstance(condition, NumberSearch) else f".where({text})")
    if query.selected is not None:
        parts.append(f".columns({', '.join(map(repr, query.selected))})")
    if query.order == (("start", True),):
        parts.append(".newest_first()")
    elif query.order:
        parts.append(f".order_by({', '.join(map(repr, order_names(query.order)))})")
    if query.maximum is not None:
        parts.append(f".limit({query.maximum})")
    if query.position is not None:
        parts.append(f".after({query.position.encode()!r})")
    return "".join(parts)


def query_to_dict(query: QueryParts) -> dict[str, Any]:
    """Return a query as a dict of JSON values; parts that are not set are omitted."""
    data: dict[str, Any] = {
        "where": [condition.to_dict() for condition in query.conditions],
        "during": [{"preset": preset.name, "timezone": preset.timezone} for preset in query.presets],
        "columns": list(query.selected or ()),
        "order": order_names(query.order),
    }
    data = {key: value for key, value in data.items() if value}
    if query.period is not None:
        bounds = {"start": query.period.start, "end": query.period.end}
        data["between"] = {key: None if at is None else format_instant(at) for key, at in bounds.items()}
    if query.maximum is not None:
        data["limit"] = query.maximum
    if query.position is not None:
        data["after"] = query.position.encode()
    return data


def read_query(query: AnyQuery, data: Mapping[str, Any]) -> AnyQuery:
    """Build a query from a dict; *query* is the empty query to start from.

    Raises:
        QueryError: When *data* is not a valid query. The error names the key and the value.
        ConfigError: When *data* names an unknown zone.
    """
    if not isinstance(data, Mapping):
        raise QueryError(f"A query must be a dict, not {data!r}.")
    check_keys(data, ("where", "during", "between", "columns", "order", "limit", "after"), "key")
    for key in ("where", "during", "columns", "order"):
        if not isinstance(data.get(key, []), list):
            raise QueryError(f"{key} must be a list, not {data[key]!r}.", parameter=key)
    try:
        query = query.where(*(condition_from_dict(part) for part in data.get("where", [])))
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
        raise QueryError(
            f"{dict(data)!r} is not a query: {exc!r}. See the documentation page on the query format."
        ) from exc


def condition_from_dict(data: object, depth: int = 0) -> Expr:
    """Build a condition from a dict that `Expr.to_dict` returned.

    Raises:
        QueryError: When *data* is not a valid condition, or is nested too deeply.
        UnknownFieldError: When *data* names an unknown field.
    """
    if depth > MAX_DEPTH:
        raise QueryError(
            f"The condition is nested more than {MAX_DEPTH} levels deep; flatten it.", parameter="where"
        )
    if not isinstance(data, Mapping):
        raise QueryError(f"{data!r} is not a condition; give a dict.", parameter="where")
    keys = set(data)
    if keys == {"not"}:
        return ~condition_from_dict(data["not"], depth + 1)
    for key, kind in (("all", And), ("any", Or)):
        if keys == {key}:
            parts = data[key]
            if not isinstance(parts, list) or not 2 <= len(parts) <= MAX_PARTS:
                raise QueryError(f"{key!r} needs a list of 2 to {MAX_PARTS} conditions.", parameter="where")
            return functools.reduce(
                operator.and_ if kind is And else operator.or_,
                (condition_from_dict(part, depth + 1) for part in parts),
            )
    if "number" in keys and keys <= {"number", "role", "match"}:
        return number_search(data["number"], data.get("role", "either"), data.get("match"))
    if not {"field", "op"} <= keys <= {"field", "op", "value"}:
        raise QueryError(
            f"{data!r} is not a condition. Give the keys 'field', 'op' and 'value', or one of the keys 'all', "
            "'any', 'not' and 'number'.",
            parameter="where",
        )
    return _comparison_from_dict(field(data["field"]), data)


def _comparison_from_dict(ref: FieldRef, data: Mapping[str, Any]) -> Expr:
    op = data["op"]
    if op not in _OPS:
        raise QueryError(f"Unknown operator {op!r}; use one of {', '.join(_OPS)}.", parameter="where")
    if (op == "is_null") == ("value" in data):
        raise QueryError(
            f"{dict(data)!r} is not a condition: is_null takes no value, and every other operator needs a value.",
            parameter="where",
        )
    if op == "is_null":
        return ref.is_null()
    value = data["value"]
    if op == "in":
        return ref.is_in(value)
    if op in _TEXT_OPS:
        return ref._match(op, value)
    return ref._compare(op, value)
