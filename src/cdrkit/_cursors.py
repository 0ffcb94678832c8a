"""The place where a page ended, as a short text: the values of its order, so that it outlives every move of records."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import attrs

from ._records import INSTANT, MONEY, known_field
from ._times import format_instant, parse_instant
from .errors import QueryError

__all__ = ["Cursor"]

_CURSOR_VERSION: Final = 1


@attrs.frozen
class Cursor:
    """Where a page ended: the order it was in, and that order's values of its last record."""

    order: tuple[tuple[str, bool], ...]
    values: tuple[Any, ...]

    def encode(self) -> str:
        """Return it as a short text that is safe in a URL."""
        plain = [_cursor_value(value) for value in self.values]
        packed = json.dumps([_CURSOR_VERSION, self.order, plain], separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: object) -> Cursor:
        """Return the cursor that `encode` made *text* of.

        Raises:
            QueryError: When it is not one.
        """
        try:
            if not isinstance(text, str) or len(text) > 20_000:
                raise TypeError("not a text that could be one")
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            version, order, values = json.loads(packed.decode())
            if version != _CURSOR_VERSION or len(order) != len(values) or len(order) < 2:
                raise ValueError("made by another version")
            names = tuple((known_field(name).name, bool(descending)) for name, descending in order)
            return cls(
                names, tuple(_from_cursor(name, v) for (name, _), v in zip(names, values, strict=True))
            )
        except (ValueError, TypeError, QueryError, binascii.Error, InvalidOperation, RecursionError) as exc:
            shown = text if not isinstance(text, str) or len(text) <= 60 else f"{text[:60]}…"
            raise QueryError(
                f"{shown!r} is not a cursor; pass on the next_cursor of a page, unchanged, or none for the first page.",
                parameter="cursor",
            ) from exc


def _cursor_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    return str(value) if isinstance(value, Decimal) else value


def _from_cursor(name: str, value: Any) -> Any:
    info = known_field(name)
    if value is None:
        if info.required:
            raise ValueError(f"{name} is never absent")
        return None
    if info.type == INSTANT:
        return parse_instant(_text_only(value))
    if info.type == MONEY:
        return Decimal(_text_only(value))
    kind = (
        (int, float) if info.type not in (INSTANT, MONEY) and not info.is_text and not info.choices else str
    )
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no value of {name}")
    return value


def _text_only(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text is needed")
    return value
