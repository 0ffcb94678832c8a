"""References to fields, which create conditions when compared with values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar, Final, NoReturn

from cdrkit._model import (
    CHOICE,
    INSTANT,
    INTEGER,
    FieldInfo,
    FieldName,
    convert_value,
    find_field,
    parse_instant,
)
from cdrkit._query.expressions import Comparison, Expr, In, IsNull, TextMatch
from cdrkit.errors import QueryError, SchemaError

__all__ = ["CONNECTED", "RECORDED", "FieldRef", "field", "match_any"]


def field(name: FieldName | str) -> FieldRef:
    """Return a reference to the field *name*, for use in conditions.

    Example:
        >>> from cdrkit import field
        >>> field("charge") >= "0.50"
        field('charge') >= '0.500000'
        >>> field("release_reason").contains("BYE") & ~field("mos").is_null()
        (field('release_reason').contains('BYE')) & (~(field('mos').is_null()))

    Args:
        name: One of the names of `FIELDS`.

    Raises:
        UnknownFieldError: When the field is unknown. The error suggests the nearest names.
    """
    return FieldRef(find_field(name))


class FieldRef:
    """A field reference, which creates a condition when it is compared.

    Call `field` to create a reference. Compare time fields with aware datetimes or ISO 8601 text (UTC, if the text has
    no offset). Compare money fields with `decimal.Decimal`, whole numbers or strings. Compare enumeration fields with
    the members of the enumeration or with words.

    Example:
        >>> from cdrkit import field
        >>> field("start") >= "2026-11-22T09:30"
        field('start') >= '2026-11-22T09:30:00Z'
        >>> field("disposition") == "busy"
        field('disposition') == 'busy'

    Raises:
        QueryError: When a comparison uses None, another field or a value that does not fit the field, when an
            enumeration is compared by order, or when a reference is used as a condition.
    """

    __slots__ = ("_info",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # == builds a condition, so it cannot be a key

    def __init__(self, info: FieldInfo) -> None:
        self._info = info

    def __repr__(self) -> str:
        return f"field({self._info.name!r})"

    def __bool__(self) -> NoReturn:
        raise QueryError(
            f"{self!r} alone is not a condition. To match calls that have the field, use ~{self!r}.is_null()."
        )

    def _compare(self, op: str, other: object) -> Expr:
        if op not in ("==", "!=") and self._info.type == CHOICE:
            raise QueryError(f"The values of {self._info.name} have no order; use ==, != or .is_in([...]).")
        return Comparison(self._info.name, op, _convert(self._info, other))

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
        """Match calls in which the field has one of *values*.

        Args:
            values: The values; an empty list matches no call.

        Raises:
            QueryError: When *values* is not a list, or a value does not fit the field.

        Example:
            >>> from cdrkit import field
            >>> field("sip_code").is_in([486, 600])
            field('sip_code').is_in([486, 600])
        """
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise QueryError(f"{self!r}.is_in takes a list of values, not {values!r}.")
        distinct = {_convert(self._info, value): None for value in values}
        return In(self._info.name, tuple(sorted(distinct)))

    def is_null(self) -> Expr:
        """Match calls in which the field is absent.

        Example:
            >>> from cdrkit import field
            >>> ~field("recording").is_null()
            ~(field('recording').is_null())
        """
        return IsNull(self._info.name)

    def contains(self, text: str) -> Expr:
        """Match calls in which the field contains *text* (case-sensitive).

        Raises:
            QueryError: When the field is not a text field, or *text* is not a valid string.

        Example:
            >>> from cdrkit import field
            >>> field("release_reason").contains("BYE")
            field('release_reason').contains('BYE')
        """
        return self._match("contains", text)

    def starts_with(self, text: str) -> Expr:
        """Match calls in which the field starts with *text* (case-sensitive).

        Raises:
            QueryError: When the field is not a text field, or *text* is not a valid string.

        Example:
            >>> from cdrkit import field
            >>> field("destination_name").starts_with("United")
            field('destination_name').starts_with('United')
        """
        return self._match("starts_with", text)

    def ends_with(self, text: str) -> Expr:
        """Match calls in which the field ends with *text* (case-sensitive).

        Raises:
            QueryError: When the field is not a text field, or *text* is not a valid string.

        Example:
            >>> from cdrkit import field
            >>> field("recording").ends_with(".wav")
            field('recording').ends_with('.wav')
        """
        return self._match("ends_with", text)

    def _match(self, how: str, text: str) -> Expr:
        if not self._info.is_text:
            raise QueryError(f"{self._info.name} is not a text field; use .{how}() on text fields only.")
        if not isinstance(text, str) or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise QueryError(
                f"text={text!r} is not valid for {self!r}.{how}(). Give a str without lone surrogates."
            )
        return TextMatch(self._info.name, how, text)


def _convert(info: FieldInfo, value: object) -> Any:
    """Convert *value* to the field's type."""
    if value is None:
        raise QueryError(
            f"{info.name} cannot be compared with None; use field({info.name!r}).is_null() for absent values "
            f"and ~field({info.name!r}).is_null() for present values."
        )
    if isinstance(value, (Expr, FieldRef)):
        raise QueryError(
            f"field({info.name!r}) cannot be compared with {value!r}. Compare it with a constant value."
        )
    if info.type == INSTANT:
        if not isinstance(value, (str, datetime, date)):
            raise QueryError(
                f"{info.name} can only be compared with an aware datetime or ISO 8601 text, not {value!r}."
            )
        return parse_instant(value, parameter=info.name)
    if info.type in INTEGER and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 2**62:
            raise QueryError(
                f"{info.name} cannot be compared with a number of 63 bits or more; use a smaller number."
            )
        return value
    try:
        converted = convert_value(info, value)
    except SchemaError as exc:
        raise QueryError(
            f"{exc} The query compares field({info.name!r}) with this value.", parameter=info.name
        ) from exc
    if converted is None:  # NaN
        raise QueryError(f"{info.name} cannot be compared with {value!r}; use .is_null() for absent values.")
    return str(converted) if info.choices else converted


#: The condition of `Query.connected`.
CONNECTED: Final = field("duration") > 0
#: The condition of `Query.has_recording`.
RECORDED: Final = ~field("recording").is_null()


def match_any(name: str, values: tuple[str, ...], *, ignore_case: bool = False) -> Expr:
    """Return a condition that requires the field *name* to have one of *values*.

    Raises:
        QueryError: When *values* is empty, or a value does not fit the field.
    """
    if not values:
        raise QueryError(f"The list of values for {name} is empty; give at least one.", parameter=name)
    if ignore_case:
        values = tuple(word.lower() if isinstance(word, str) else word for word in values)
    return field(name).is_in(values)
