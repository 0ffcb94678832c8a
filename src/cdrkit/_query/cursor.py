"""The place where a page ended, as a short text: the values of its order, so that it outlives every move of records."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import attrs

from cdrkit._model import INSTANT, convert_value, find_field, format_instant, parse_instant
from cdrkit.errors import CdrError, QueryError

__all__ = ["Cursor"]

_CURSOR_VERSION: Final = 1


@attrs.frozen
class Cursor:
    """Where a page ended.

    Attributes:
        order: The order it was in: (field, descending), down to the last tie.
        values: What its last record has in those fields.
        left: How many calls the query's limit leaves for the pages behind it; None without a limit.
        seal: What proves to a scope that it gave the cursor; None without a scope.
    """

    order: tuple[tuple[str, bool], ...]
    values: tuple[Any, ...]
    left: int | None = None
    seal: str | None = None

    def encode(self) -> str:
        """Return it as a short text that is safe in a URL."""
        return self.place if self.seal is None else f"{self.place}.{self.seal}"

    @property
    def place(self) -> str:
        """The same without the seal: what is sealed."""
        plain = [_cursor_value(value) for value in self.values]
        whole = [_CURSOR_VERSION, self.order, plain, self.left]
        packed = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: object) -> Cursor:
        """Return the cursor that `encode` made *text* of.

        Raises:
            QueryError: When it is not one.
        """
        try:
            if not isinstance(text, str):
                raise TypeError("a cursor is a text")
            place, dot, seal = text.partition(".")
            packed = base64.b64decode(place + "=" * (-len(place) % 4), altchars=b"-_", validate=True)
            version, order, values, left = json.loads(packed.decode())
            if version != _CURSOR_VERSION or len(order) != len(values) or len(order) < 2:
                raise ValueError("made by another version")
            if left is not None and (type(left) is not int or left < 0):
                raise ValueError("its limit is none")
            names = tuple((find_field(name).name, bool(descending)) for name, descending in order)
            found = tuple(_from_cursor(name, v) for (name, _), v in zip(names, values, strict=True))
            return cls(names, found, left, seal if dot else None)
        except (ValueError, TypeError, CdrError, ArithmeticError, RecursionError) as exc:
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
    info = find_field(name)
    if value is None:
        if info.required:
            raise ValueError(f"{name} is never absent")
        return None
    if info.type == INSTANT:
        return parse_instant(value)
    stored = convert_value(info, value)
    if stored is None:
        raise ValueError(f"{name} cannot be {value!r}")
    return str(stored) if info.choices else stored
