"""Conditions as dicts of JSON values, read back: what other programs keep and send."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any, Final

from cdrkit._query.expressions import (
    DEEPEST,
    OPERATORS,
    WIDEST,
    And,
    Expr,
    FieldRef,
    Or,
    field,
    number_search,
)
from cdrkit.errors import QueryError

__all__ = ["condition_from_dict"]

_TEXT_OPS: Final = ("contains", "starts_with", "ends_with")
_OPS: Final = (*OPERATORS, "in", "is_null", *_TEXT_OPS)


def condition_from_dict(data: object, depth: int = 0) -> Expr:
    """Return the condition whose `Expr.to_dict` gave *data*.

    Raises:
        QueryError: When it is not such a dict, or nested too deeply.
        UnknownFieldError: When it names a field that there is not.
    """
    if depth > DEEPEST:
        raise QueryError(f"The condition is nested more than {DEEPEST} deep; flatten it.", parameter="where")
    if not isinstance(data, Mapping):
        raise QueryError(f"{data!r} is not a condition; a dict is needed.", parameter="where")
    keys = set(data)
    if keys == {"not"}:
        return ~condition_from_dict(data["not"], depth + 1)
    for key, kind in (("all", And), ("any", Or)):
        if keys == {key}:
            parts = data[key]
            if not isinstance(parts, list) or not 2 <= len(parts) <= WIDEST:
                raise QueryError(f"{key!r} needs a list of 2 to {WIDEST} conditions.", parameter="where")
            return functools.reduce(
                operator.and_ if kind is And else operator.or_,
                (condition_from_dict(part, depth + 1) for part in parts),
            )
    if "number" in keys and keys <= {"number", "role", "match"}:
        return number_search(data["number"], data.get("role", "either"), data.get("match"))
    if not {"field", "op"} <= keys <= {"field", "op", "value"}:
        raise QueryError(
            f"{data!r} is not a condition; give field, op and value, or one of all, any, not, number.",
            parameter="where",
        )
    return _comparison_from_dict(field(data["field"]), data)


def _comparison_from_dict(ref: FieldRef, data: Mapping[str, Any]) -> Expr:
    op = data["op"]
    if op not in _OPS:
        raise QueryError(f"There is no operator {op!r}; use one of {', '.join(_OPS)}.", parameter="where")
    if (op == "is_null") == ("value" in data):
        raise QueryError(
            f"{dict(data)!r}: is_null takes no value, every other operator one.", parameter="where"
        )
    if op == "is_null":
        return ref.is_null()
    value = data["value"]
    if op == "in":
        return ref.is_in(value)
    if op in _TEXT_OPS:
        return ref._match(op, value)
    return ref._compare(op, value)
