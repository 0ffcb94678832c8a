"""The conditions of a query, as immutable trees.

A comparison with an absent value is neither true nor false, as in SQL: the comparison does not match, and its negation
does not match either. `IsNull` matches absent values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final, Literal, NoReturn

import attrs

from cdrkit._model import json_value
from cdrkit._numbers import search_pattern
from cdrkit.errors import QueryError

__all__ = [
    "MAX_DEPTH",
    "MAX_PARTS",
    "OPERATORS",
    "And",
    "Comparison",
    "Expr",
    "In",
    "IsNull",
    "MaskedPrefix",
    "Not",
    "NumberSearch",
    "Or",
    "TextMatch",
    "check_size",
    "equality_values",
    "field_names",
    "number_search",
    "number_searches",
]

#: The deepest condition, counted in nested conditions.
MAX_DEPTH: Final = 50
#: The largest condition, counted in its parts.
MAX_PARTS: Final = 10_000

Role = Literal["source", "destination", "either", "did"]
_ROLE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "source": ("source",),
    "destination": ("destination",),
    "either": ("source", "destination"),
    "did": ("did",),
}


class Expr:
    """An immutable condition on calls, created by comparing a `field` with a value.

    Combine conditions with ``&`` (and), ``|`` (or) and ``~`` (not). Two conditions with the same structure are equal
    and have equal hashes.

    Example:
        >>> from cdrkit import field
        >>> busy_or_short = (field("sip_code") == 486) | (field("duration") < 5)
        >>> busy_or_short == (field("sip_code") == 486) | (field("duration") < 5)
        True
        >>> busy_or_short
        (field('sip_code') == 486) | (field('duration') < 5)

    Raises:
        QueryError: When a condition is combined with a value that is not a condition, or is used as a truth value, as
            in ``and``, ``or`` and ``not``.
    """

    __slots__ = ()

    def __and__(self, other: Expr) -> Expr:
        return _combine(And, self, other, "&")

    def __or__(self, other: Expr) -> Expr:
        return _combine(Or, self, other, "|")

    def __invert__(self) -> Expr:
        return self.inner if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"The condition {self!r} is neither true nor false by itself. Write & instead of 'and', | instead of 'or', "
            "~ instead of 'not' (each side in parentheses), .is_in([...]) instead of 'in', and "
            "(a < b) & (b < c) instead of a < b < c."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the condition as a dict of JSON values.

        The list ``Query.to_dict()["where"]`` consists of such dicts.

        Example:
            >>> from cdrkit import field
            >>> (field("sip_code") == 486).to_dict()
            {'field': 'sip_code', 'op': '==', 'value': 486}
        """
        raise NotImplementedError


def _combine(kind: type[And | Or], left: Expr, right: object, sign: str) -> Expr:
    if not isinstance(right, Expr):
        raise QueryError(
            f"{left!r} {sign} {right!r} is not a valid expression: {right!r} is not a condition. "
            f"Write each comparison in parentheses: (field('duration') > 0) {sign} (field('sip_code') == 200)."
        )
    parts: list[Expr] = []
    for side in (left, right):
        parts.extend(side.parts if isinstance(side, kind) else [side])
    return kind(tuple(parts))


Op = Literal["==", "!=", "<", "<=", ">", ">="]
OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@attrs.frozen(repr=False)
class Comparison(Expr):
    """A comparison of a field with a value of the field's type."""

    field: str
    op: str
    value: Any

    def __repr__(self) -> str:
        return f"field({self.field!r}) {self.op} {json_value(self.value)!r}"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": self.op, "value": json_value(self.value)}


@attrs.frozen(repr=False)
class In(Expr):
    """A condition that requires a field to have one of several values."""

    field: str
    values: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"field({self.field!r}).is_in([{', '.join(repr(json_value(value)) for value in self.values)}])"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": "in", "value": [json_value(value) for value in self.values]}


@attrs.frozen(repr=False)
class IsNull(Expr):
    """A condition that requires a field to be absent."""

    field: str

    def __repr__(self) -> str:
        return f"field({self.field!r}).is_null()"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": "is_null"}


@attrs.frozen(repr=False)
class TextMatch(Expr):
    """A condition that searches a text field for a string.

    The field must contain the string, start with it or end with it. The comparison is case-sensitive.
    """

    field: str
    how: str
    text: str

    def __repr__(self) -> str:
        return f"field({self.field!r}).{self.how}({self.text!r})"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": self.how, "value": self.text}


@attrs.frozen(repr=False)
class NumberSearch(Expr):
    """A search of number fields for telephone numbers in any notation."""

    texts: tuple[str, ...]
    role: str
    match: str | None = None

    def __repr__(self) -> str:
        how = "" if self.match is None else f", match={self.match!r}"
        if self.role == "did":
            return f".did({', '.join(map(repr, self.texts))}{how})"
        texts = repr(self.texts[0]) if len(self.texts) == 1 else repr(list(self.texts))
        return f".number({texts}, role={self.role!r}{how})"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields to search."""
        return _ROLE_FIELDS[self.role]

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"number": list(self.texts), "role": self.role}
        return data if self.match is None else {**data, "match": self.match}


@attrs.frozen(repr=False)
class MaskedPrefix(Expr):
    """A search for masked numbers by their visible leading digits.

    The search does not compare hidden digits. A scope replaces each number search on a masked field with this
    condition. The condition cannot be converted to a dict.
    """

    field: str
    texts: tuple[str, ...]
    masked_digits: int
    match: str | None = None

    def __repr__(self) -> str:
        return f"field({self.field!r}) without its last {self.masked_digits} begins like {list(self.texts)!r}"


@attrs.frozen(repr=False)
class Not(Expr):
    """The negation of a condition."""

    inner: Expr

    def __repr__(self) -> str:
        return f"~({self.inner!r})"

    def to_dict(self) -> dict[str, Any]:
        return {"not": self.inner.to_dict()}


@attrs.frozen(repr=False)
class And(Expr):
    """A combination of conditions; a call matches if it meets all of them."""

    parts: tuple[Expr, ...]
    sign: ClassVar[str] = "&"

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        return {"all": [part.to_dict() for part in self.parts]}


@attrs.frozen(repr=False)
class Or(Expr):
    """A combination of conditions; a call matches if it meets at least one of them."""

    parts: tuple[Expr, ...]
    sign: ClassVar[str] = "|"

    def __repr__(self) -> str:
        return " | ".join(f"({part!r})" for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        return {"any": [part.to_dict() for part in self.parts]}


def number_search(texts: object, role: str, match: str | None) -> NumberSearch:
    """Return a condition that matches calls with one of the given numbers.

    *texts* is one number, or several numbers.

    Raises:
        QueryError: When a number contains nothing to search for, or when the role or the kind of match is unknown.
    """
    items: list[Any] = [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else list(texts)
    if not items:
        raise QueryError(
            "The list of numbers to search for is empty; give at least one number.", parameter="number"
        )
    if role not in _ROLE_FIELDS:
        raise QueryError(
            f"Unknown role {role!r} for a number; use 'source', 'destination' or 'either'.", parameter="role"
        )
    for text in items:
        if not isinstance(text, str):
            raise QueryError(
                f"A number to search for must be text, not {text!r}; write it in quotes.", parameter="number"
            )
        search_pattern(text, None, match)  # raises for a text that is invalid in every region
    return NumberSearch(tuple(sorted(set(items))), role, match)


def check_size(expr: Expr, depth: int = 0) -> int:
    """Count the conditions in a tree; raise an error if it is too deep or too large.

    Raises:
        QueryError: When the tree is deeper than `MAX_DEPTH` or larger than `MAX_PARTS`.
    """
    parts = expr.parts if isinstance(expr, (And, Or)) else (expr.inner,) if isinstance(expr, Not) else ()
    if depth > MAX_DEPTH:
        raise QueryError(
            f"The condition is nested more than {MAX_DEPTH} levels deep; flatten it.", parameter="where"
        )
    size = 1 + sum(check_size(part, depth + 1) for part in parts)
    if size > MAX_PARTS:
        raise QueryError(
            f"The condition has more than {MAX_PARTS} parts; use .is_in([...]) instead of many comparisons.",
            parameter="where",
        )
    return size


def field_names(expr: Expr) -> set[str]:
    """Return the names of the fields that a condition compares."""
    if isinstance(expr, (And, Or)):
        return {name for part in expr.parts for name in field_names(part)}
    if isinstance(expr, Not):
        return field_names(expr.inner)
    if isinstance(expr, NumberSearch):
        return set(expr.fields)
    assert isinstance(expr, (MaskedPrefix, Comparison, In, IsNull, TextMatch))
    return {expr.field}


def equality_values(expr: Expr) -> tuple[str, tuple[Any, ...]] | None:
    """For a condition with ``==`` or ``in``, return its field and allowed values.

    Return None for any other condition.
    """
    if isinstance(expr, Comparison) and expr.op == "==":
        return expr.field, (expr.value,)
    return (expr.field, expr.values) if isinstance(expr, In) else None


def number_searches(expr: Expr) -> Iterator[NumberSearch]:
    """Yield every `NumberSearch` in a tree of conditions."""
    if isinstance(expr, (And, Or)):
        for part in expr.parts:
            yield from number_searches(part)
    elif isinstance(expr, Not):
        yield from number_searches(expr.inner)
    elif isinstance(expr, NumberSearch):
        yield expr
