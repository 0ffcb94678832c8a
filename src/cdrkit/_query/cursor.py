"""Cursors: positions between pages of results, encoded as short strings.

A cursor holds the sort values of a record, not a row count or a file offset, so the cursor stays valid when records
move between segments and tiers.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import attrs

from cdrkit._model import INSTANT, convert_value, find_field, json_value, parse_instant
from cdrkit.errors import CdrError, QueryError

__all__ = ["Cursor"]

_CURSOR_VERSION: Final = 1


@attrs.frozen
class Cursor:
    """A position in a sorted result, directly after or before a page.

    Attributes:
        order: The sort order of the page, as (field, descending) pairs. No two calls tie.
        values: The values that the record at the position has in the fields of *order*.
        left: The number of calls that the query's limit still allows after the position; None without a limit.
        signature: The proof that a scope issued the cursor; None without a scope.
        backward: Whether the cursor leads to the calls before the position instead of the calls after it.
    """

    order: tuple[tuple[str, bool], ...]
    values: tuple[Any, ...]
    left: int | None = None
    signature: str | None = None
    backward: bool = False

    def encode(self) -> str:
        """Return the cursor as a short string that is safe in a URL."""
        return self.payload if self.signature is None else f"{self.payload}.{self.signature}"

    @property
    def payload(self) -> str:
        """The encoded cursor without its signature; a scope signs this text."""
        plain = [json_value(value) for value in self.values]
        whole: list[object] = [_CURSOR_VERSION, self.order, plain, self.left]
        if self.backward:
            whole.append("backward")
        packed = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: object) -> Cursor:
        """Build a cursor from a string that `encode` returned.

        Raises:
            QueryError: When *text* is not an encoded cursor.
        """
        try:
            if not isinstance(text, str):
                raise TypeError("a cursor must be a string")
            payload, dot, signature = text.partition(".")
            packed = base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True)
            version, order, values, left, *direction = json.loads(packed.decode())
            if version != _CURSOR_VERSION or len(order) != len(values) or len(order) < 2:
                raise ValueError("the cursor's format version is not supported")
            if left is not None and (type(left) is not int or left < 0):
                raise ValueError("the limit is negative or not a whole number")
            if direction not in ([], ["backward"]):
                raise ValueError("the cursor's direction is unknown")
            names = tuple((find_field(name).name, bool(descending)) for name, descending in order)
            plain = tuple(_read_value(name, v) for (name, _), v in zip(names, values, strict=True))
            return cls(names, plain, left, signature if dot else None, bool(direction))
        except (ValueError, TypeError, CdrError, ArithmeticError, RecursionError) as exc:
            shown = text if not isinstance(text, str) or len(text) <= 60 else f"{text[:60]}…"
            raise QueryError(
                f"{shown!r} is not a cursor. Pass the cursor of a page unchanged; for the first page, pass no cursor.",
                parameter="cursor",
            ) from exc


def _read_value(name: str, value: Any) -> Any:
    info = find_field(name)
    if value is None:
        if info.required:
            raise ValueError(f"the field {name} needs a value")
        return None
    if info.type == INSTANT:
        return parse_instant(value)
    converted = convert_value(info, value)
    if converted is None:
        raise ValueError(f"the field {name} cannot be {value!r}")
    return str(converted) if info.choices else converted
