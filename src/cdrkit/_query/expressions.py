"""Conditions on calls: trees of values, built from `field()`, checked against the catalogue, run by Polars.

A comparison with an absent value is neither true nor false, as in SQL: it selects nothing, and neither does
its negation. `is_null` asks for absence itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, Literal, NoReturn

import attrs
import polars as pl

from cdrkit._model import (
    CHOICE,
    FRACTION,
    FRAME_TYPES,
    INSTANT,
    INTEGER,
    MONEY,
    FieldInfo,
    convert_value,
    find_field,
    format_instant,
    parse_instant,
)
from cdrkit._numbers import search_pattern, visible_prefixes
from cdrkit.errors import QueryError, SchemaError

__all__ = [
    "DEEPEST",
    "OPERATORS",
    "WIDEST",
    "And",
    "Comparison",
    "Expr",
    "FieldRef",
    "In",
    "IsNull",
    "MaskedPrefix",
    "Not",
    "NumberSearch",
    "Or",
    "TextMatch",
    "check_size",
    "field",
    "field_names",
    "number_column",
    "number_search",
    "number_searches",
    "polars_condition",
]

DEEPEST: Final = 50
WIDEST: Final = 10_000

Role = Literal["source", "destination", "either", "did"]
_ROLE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "source": ("source",),
    "destination": ("destination",),
    "either": ("source", "destination"),
    "did": ("did",),
}


class Expr:
    """A condition on calls: an immutable value, made by comparing a `field`.

    Conditions combine with ``&`` (and), ``|`` (or) and ``~`` (not); two of them are equal when they are
    built alike, and they are hashable.

    Example:
        >>> from cdrkit import field
        >>> busy_or_short = (field("sip_code") == 486) | (field("duration") < 5)
        >>> busy_or_short == (field("sip_code") == 486) | (field("duration") < 5)
        True
        >>> busy_or_short
        (field('sip_code') == 486) | (field('duration') < 5)
    """

    __slots__ = ()

    def __and__(self, other: Expr) -> Expr:
        return _joined(And, self, other, "&")

    def __or__(self, other: Expr) -> Expr:
        return _joined(Or, self, other, "|")

    def __invert__(self) -> Expr:
        return self.inner if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"A condition is neither true nor false by itself: {self!r}. Write & instead of 'and', | instead of 'or', "
            "~ instead of 'not' (each side in parentheses), .is_in([...]) instead of 'in', and two conditions "
            "joined by & instead of a < b < c."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the condition as a dict of JSON values; `Query.from_dict` reads it back."""
        raise NotImplementedError


def _joined(kind: type[And | Or], left: Expr, right: object, sign: str) -> Expr:
    if not isinstance(right, Expr):
        raise QueryError(
            f"{right!r} is not a condition, so {left!r} {sign} {right!r} means nothing. "
            f"Compare a field, in parentheses: (field('duration') > 0) {sign} (field('sip_code') == 200)."
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
    """A field compared with a value of its type."""

    field: str
    op: str
    value: Any

    def __repr__(self) -> str:
        return f"field({self.field!r}) {self.op} {_shown(self.value)}"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": self.op, "value": _plain(self.value)}


@attrs.frozen(repr=False)
class In(Expr):
    """A field whose value is one of several."""

    field: str
    values: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"field({self.field!r}).is_in([{', '.join(map(_shown, self.values))}])"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": "in", "value": [_plain(value) for value in self.values]}


@attrs.frozen(repr=False)
class IsNull(Expr):
    """A field that is absent."""

    field: str

    def __repr__(self) -> str:
        return f"field({self.field!r}).is_null()"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": "is_null"}


@attrs.frozen(repr=False)
class TextMatch(Expr):
    """A text field that contains, starts or ends with a text, to the letter."""

    field: str
    how: str
    text: str

    def __repr__(self) -> str:
        return f"field({self.field!r}).{self.how}({self.text!r})"

    def to_dict(self) -> dict[str, Any]:
        return {"field": self.field, "op": self.how, "value": self.text}


@attrs.frozen(repr=False)
class NumberSearch(Expr):
    """A telephone number, or several, looked for in a role; how a number was written does not matter."""

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
        """The fields it looks into."""
        return _ROLE_FIELDS[self.role]

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"number": list(self.texts), "role": self.role}
        return found if self.match is None else {**found, "match": self.match}


@attrs.frozen(repr=False)
class MaskedPrefix(Expr):
    """A number that begins in some way, its masked end left out of account: what a scope makes of a number search."""

    field: str
    texts: tuple[str, ...]
    masked_digits: int
    match: str | None = None

    def __repr__(self) -> str:
        return f"field({self.field!r}) without its last {self.masked_digits} begins like {list(self.texts)!r}"


@attrs.frozen(repr=False)
class Not(Expr):
    """The opposite of a condition."""

    inner: Expr

    def __repr__(self) -> str:
        return f"~({self.inner!r})"

    def to_dict(self) -> dict[str, Any]:
        return {"not": self.inner.to_dict()}


@attrs.frozen(repr=False)
class And(Expr):
    """Every one of several conditions."""

    parts: tuple[Expr, ...]
    sign: ClassVar[str] = "&"

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        return {"all": [part.to_dict() for part in self.parts]}


@attrs.frozen(repr=False)
class Or(Expr):
    """At least one of several conditions."""

    parts: tuple[Expr, ...]
    sign: ClassVar[str] = "|"

    def __repr__(self) -> str:
        return " | ".join(f"({part!r})" for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        return {"any": [part.to_dict() for part in self.parts]}


def field(name: str) -> FieldRef:
    """Name a field, to be compared: ``field("sip_code") == 200``.

    Example:
        >>> from cdrkit import field
        >>> field("charge") >= "0.50"
        field('charge') >= '0.500000'
        >>> field("release_reason").contains("BYE") & ~field("mos").is_null()
        (field('release_reason').contains('BYE')) & (~(field('mos').is_null()))

    Args:
        name: One of the names of `FIELDS`.

    Raises:
        UnknownFieldError: When there is no such field; it names the nearest ones.
    """
    return FieldRef(find_field(name))


class FieldRef:
    """A field that waits to be compared; made by `field`.

    Instants are compared with aware datetimes or ISO 8601 text (without an offset: UTC), money with
    `decimal.Decimal`, whole numbers or text, choices with their words.
    """

    __slots__ = ("_info",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # == builds a condition, so it cannot be a key

    def __init__(self, info: FieldInfo) -> None:
        self._info = info

    def __repr__(self) -> str:
        return f"field({self._info.name!r})"

    def __bool__(self) -> NoReturn:
        raise QueryError(f"{self!r} is not a condition; compare it, for example ~{self!r}.is_null().")

    def _compare(self, op: str, other: object) -> Expr:
        if op not in ("==", "!=") and self._info.type == CHOICE:
            raise QueryError(f"{self._info.name} holds words without an order; use ==, != or .is_in([...]).")
        return Comparison(self._info.name, op, _value(self._info, other))

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]  # builds a condition
        return self._compare("==", other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]  # builds a condition
        return self._compare("!=", other)

    def __lt__(self, other: object) -> Expr:
        return self._compare("<", other)

    def __le__(self, other: object) -> Expr:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Expr:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Expr:
        return self._compare(">=", other)

    def is_in(self, values: Iterable[object]) -> Expr:
        """Match any of *values*; none of them matches nothing."""
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise QueryError(f"{self!r}.is_in takes a list of values, not {values!r}.")
        found = {_value(self._info, value): None for value in values}
        return In(self._info.name, tuple(sorted(found)))

    def is_null(self) -> Expr:
        """Match calls that lack the field."""
        return IsNull(self._info.name)

    def contains(self, text: str) -> Expr:
        """Match a text with *text* anywhere in it; upper and lower case differ."""
        return self._match("contains", text)

    def starts_with(self, text: str) -> Expr:
        """Match a text that begins with *text*; upper and lower case differ."""
        return self._match("starts_with", text)

    def ends_with(self, text: str) -> Expr:
        """Match a text that ends with *text*; upper and lower case differ."""
        return self._match("ends_with", text)

    def _match(self, how: str, text: str) -> Expr:
        if not self._info.is_text:
            raise QueryError(f"{self._info.name} is not text; .{how}() works on text fields only.")
        if not isinstance(text, str) or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise QueryError(f"{self!r}.{how} takes text, not {text!r}.")
        return TextMatch(self._info.name, how, text)


def _value(info: FieldInfo, value: object) -> Any:
    """Return *value* as the field holds it."""
    if value is None:
        raise QueryError(
            f"Nothing equals absence: write field({info.name!r}).is_null(), or ~ of it, instead of None."
        )
    if isinstance(value, (Expr, FieldRef)):
        raise QueryError(f"field({info.name!r}) can be compared with a value, not with {value!r}.")
    if info.type == INSTANT:
        if not isinstance(value, (str, datetime, date)):
            raise QueryError(
                f"{info.name} is compared with an aware datetime or ISO 8601 text, not {value!r}."
            )
        return parse_instant(value, parameter=info.name)
    if info.type in INTEGER and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 2**62:
            raise QueryError(f"{info.name} cannot be compared with a number as large as that.")
        return value
    try:
        stored = convert_value(info, value)
    except SchemaError as exc:
        raise QueryError(
            f"{exc} It is what field({info.name!r}) was compared with.", parameter=info.name
        ) from exc
    if stored is None:  # not a number
        raise QueryError(
            f"{info.name} cannot be compared with {value!r}; absence is asked for by .is_null()."
        )
    return str(stored) if info.choices else stored


def _plain(value: Any) -> Any:
    """Return a JSON value that `_value` turns back into *value*."""
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, Decimal) else value


def _shown(value: Any) -> str:
    return repr(_plain(value))


def number_search(texts: object, role: str, match: str | None) -> NumberSearch:
    """Return the search for one number, or for any of several.

    Raises:
        QueryError: When a text, the role or the kind of match is not one.
    """
    items: list[Any] = [texts] if isinstance(texts, str) or not isinstance(texts, Iterable) else list(texts)
    if not items:
        raise QueryError("Give at least one number to search for.", parameter="number")
    if role not in _ROLE_FIELDS:
        raise QueryError(
            f"There is no role {role!r} for a number; use source, destination or either.", parameter="role"
        )
    for text in items:
        if not isinstance(text, str):
            raise QueryError(f"A number to search for is text, not {text!r}.", parameter="number")
        search_pattern(text, None, match)  # refuses what cannot be searched, whatever the region
    return NumberSearch(tuple(sorted(set(items))), role, match)


def check_size(expr: Expr, depth: int = 0) -> int:
    """Return how many conditions *expr* is made of.

    Raises:
        QueryError: When it is too deep or too wide to be sent and run.
    """
    parts = expr.parts if isinstance(expr, (And, Or)) else (expr.inner,) if isinstance(expr, Not) else ()
    if depth > DEEPEST:
        raise QueryError(f"The condition is nested more than {DEEPEST} deep; flatten it.", parameter="where")
    found = 1 + sum(check_size(part, depth + 1) for part in parts)
    if found > WIDEST:
        raise QueryError(f"The condition has more than {WIDEST} parts; use .is_in([...]).", parameter="where")
    return found


def field_names(expr: Expr) -> set[str]:
    """Return the names of the fields *expr* looks at."""
    if isinstance(expr, (And, Or)):
        return {name for part in expr.parts for name in field_names(part)}
    if isinstance(expr, Not):
        return field_names(expr.inner)
    if isinstance(expr, NumberSearch):
        return set(expr.fields)
    assert isinstance(expr, (MaskedPrefix, Comparison, In, IsNull, TextMatch))
    return {expr.field}


def equality_values(expr: Expr) -> tuple[str, tuple[Any, ...]] | None:
    """Return the field that *expr* is about and the values it asks for, one of which is to be there; None otherwise."""
    if isinstance(expr, Comparison) and expr.op == "==":
        return expr.field, (expr.value,)
    return (expr.field, expr.values) if isinstance(expr, In) else None


def number_searches(expr: Expr) -> Iterator[NumberSearch]:
    """Yield the number searches anywhere in *expr*."""
    if isinstance(expr, (And, Or)):
        for part in expr.parts:
            yield from number_searches(part)
    elif isinstance(expr, Not):
        yield from number_searches(expr.inner)
    elif isinstance(expr, NumberSearch):
        yield expr


def number_column(name: str) -> str:
    """Return the name under which a frame carries the canonical form of the number field *name*."""
    return f"_form:{name}"


def polars_condition(expr: Expr, region: str | None) -> pl.Expr:
    """Return *expr* for a frame that has its fields and, for number searches, their `number_column`."""
    if isinstance(expr, And):
        return pl.all_horizontal([polars_condition(part, region) for part in expr.parts])
    if isinstance(expr, Or):
        return pl.any_horizontal([polars_condition(part, region) for part in expr.parts])
    if isinstance(expr, Not):
        return ~polars_condition(expr.inner, region)
    if isinstance(expr, NumberSearch):
        patterns = [search_pattern(text, region, expr.match) for text in expr.texts]
        masks = [pattern.condition(pl.col(number_column(name))) for name in expr.fields for pattern in patterns]
        return pl.any_horizontal(masks)
    if isinstance(expr, MaskedPrefix):
        return _polars_beginning(expr, region)
    if isinstance(expr, Comparison):
        return _polars_comparison(expr)
    if isinstance(expr, In):
        return _texts(expr.field).is_in(pl.Series(expr.values, dtype=_literal_type(expr.field)).implode())
    if isinstance(expr, IsNull):
        return pl.col(expr.field).is_null()
    assert isinstance(expr, TextMatch)
    column = _texts(expr.field)
    if expr.how == "contains":
        return column.str.contains(expr.text, literal=True)
    return column.str.starts_with(expr.text) if expr.how == "starts_with" else column.str.ends_with(expr.text)


def _polars_beginning(expr: MaskedPrefix, region: str | None) -> pl.Expr:
    """Return it for the text itself: no index may answer it, for an index knows the whole number."""
    patterns = [search_pattern(text, region, expr.match) for text in expr.texts]
    seen = pl.col(expr.field).map_batches(
        lambda column: visible_prefixes(column, expr.masked_digits, region), return_dtype=pl.String
    )
    return pl.any_horizontal([pattern.condition(seen) for pattern in patterns])


def _polars_comparison(expr: Comparison) -> pl.Expr:
    literal = pl.lit(expr.value, dtype=_literal_type(expr.field))
    column = pl.col(expr.field) if expr.op in ("==", "!=") else _texts(expr.field)
    result: pl.Expr = OPERATORS[expr.op](column, literal)
    return result


def _texts(name: str) -> pl.Expr:
    """Return the column, dictionary columns as plain text: those compare by their codes otherwise."""
    column = pl.col(name)
    return column.cast(pl.String) if isinstance(FRAME_TYPES[name], pl.Categorical) else column


def _literal_type(name: str) -> pl.DataType:
    info = find_field(name)
    if info.type in INTEGER:
        return pl.Int64()
    if info.type in FRACTION or info.type in (MONEY, INSTANT):
        return FRAME_TYPES[name]
    return pl.String()
