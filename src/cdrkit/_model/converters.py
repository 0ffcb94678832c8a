"""Convert Python values to the types of fields, and reject unsuitable values.

A type checker sees each converter as a function, so that `CallRecord` shows the types that its parameters accept.
At run time a converter is an `attrs.Converter`, which adds the name of the field to its error.
"""

from __future__ import annotations

import enum
import json
import math
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from cdrkit._model.fields import Direction, Disposition, HangupParty
from cdrkit._model.names import DirectionName, DispositionName, HangupPartyName
from cdrkit.errors import SchemaError

__all__ = [
    "show_value",
    "to_direction",
    "to_disposition",
    "to_float32",
    "to_float64",
    "to_hangup_party",
    "to_instant",
    "to_int16",
    "to_int32",
    "to_json_object",
    "to_money",
    "to_required_instant",
    "to_required_text",
    "to_text",
]

_MONEY_LIMIT: Final = Decimal(10) ** 12
_MONEY_STEP: Final = Decimal("0.000001")
_Choice = TypeVar("_Choice", bound=enum.StrEnum)


def _convert_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is needed")
    value.encode()  # a lone surrogate cannot be stored
    return str(value)


def _convert_instant(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("a datetime is needed")
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(
            "the datetime has no time zone; make the datetime aware, for example with .replace(tzinfo=...)"
        )
    return value.astimezone(UTC)


def _integer_converter(bits: int) -> Callable[[object], int]:
    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError("a whole number is needed")
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise ValueError(f"the number does not fit into {bits} bits")
        return int(value)

    return convert


def _convert_float64(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError("a number is needed")
    if math.isnan(value):  # pandas marks an absent number so
        return None
    if math.isinf(value):
        raise ValueError("a finite number is needed")
    return float(value)


def _convert_float32(value: object) -> float | None:
    number = _convert_float64(value)
    if number is None:
        return None
    # The store holds 32 bits. After this rounding to five decimals, a record equals its stored copy.
    try:
        stored: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        raise ValueError("the number does not fit into 32 bits") from None
    return round(stored * 1e5) / 1e5


def _convert_money(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise TypeError("a Decimal, a whole number or text is needed (a float cannot hold money exactly)")
    try:
        amount = Decimal(value)
        if not amount.is_finite() or abs(amount) >= _MONEY_LIMIT or amount.quantize(_MONEY_STEP) != amount:
            raise ValueError("an amount has at most 12 digits before the decimal point and 6 after it")
    except InvalidOperation:
        raise ValueError("the text is not an amount") from None
    return amount.quantize(_MONEY_STEP)


def _convert_json_object(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False, sort_keys=True)
    text = _convert_text(value)
    if not isinstance(json.loads(text), dict):
        raise ValueError("a JSON object is needed")
    return text


def _choice_converter(kind: type[_Choice]) -> Callable[[object], _Choice]:
    def convert(value: object) -> _Choice:
        try:
            return kind(value)  # type: ignore[arg-type]  # StrEnum takes any object and raises ValueError
        except ValueError:
            raise ValueError(f"one of {', '.join(kind)} is needed") from None

    return convert


def show_value(value: object) -> str:
    """Format a value for an error message; cut the text after 200 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write out very long numbers
        return f"a {type(value).__name__} that is too long to show"
    return text if len(text) <= 200 else f"{text[:200]}…"


def _converter(convert: Callable[[object], Any]) -> Any:
    """Return an attrs converter whose errors contain the field's name and the value."""

    def apply(value: object, self_: object, attribute: attrs.Attribute[Any]) -> Any:
        required = attribute.default is attrs.NOTHING
        if value is None and not required:
            return None
        try:
            if value is None:
                raise ValueError("every record needs this field")
            return convert(value)
        except (TypeError, ValueError, ArithmeticError, RecursionError) as exc:
            raise SchemaError(
                f"The field {attribute.name} cannot be {show_value(value)}: {exc}.", field=attribute.name
            ) from exc

    return attrs.Converter(apply, takes_self=True, takes_field=True)


if TYPE_CHECKING:

    def to_required_text(value: str) -> str: ...
    def to_required_instant(value: datetime) -> datetime: ...
    def to_text(value: str | None) -> str | None: ...
    def to_instant(value: datetime | None) -> datetime | None: ...
    def to_int32(value: int | None) -> int | None: ...
    def to_int16(value: int | None) -> int | None: ...
    def to_float64(value: float | None) -> float | None: ...
    def to_float32(value: float | None) -> float | None: ...
    def to_money(value: Decimal | int | str | None) -> Decimal | None: ...
    def to_json_object(value: str | Mapping[str, object] | None) -> str | None: ...
    def to_direction(value: Direction | DirectionName | None) -> Direction | None: ...
    def to_disposition(value: Disposition | DispositionName | None) -> Disposition | None: ...
    def to_hangup_party(value: HangupParty | HangupPartyName | None) -> HangupParty | None: ...

else:
    to_required_text = to_text = _converter(_convert_text)
    to_required_instant = to_instant = _converter(_convert_instant)
    to_int32 = _converter(_integer_converter(32))
    to_int16 = _converter(_integer_converter(16))
    to_float64 = _converter(_convert_float64)
    to_float32 = _converter(_convert_float32)
    to_money = _converter(_convert_money)
    to_json_object = _converter(_convert_json_object)
    to_direction = _converter(_choice_converter(Direction))
    to_disposition = _converter(_choice_converter(Disposition))
    to_hangup_party = _converter(_choice_converter(HangupParty))
