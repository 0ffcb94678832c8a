"""Cursors: the position after a page of results, as a short text.

A cursor holds the values by which its page was ordered, not a number of rows or a place in a file. So it stays valid
when records move between segments and tiers.
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
    """A position in the order of a result: after a page, or before it.

    Attributes:
        order: The order of the page: (field, descending), down to the last tie.
        values: The values of that record in those fields.
        left: The number of calls that the query's limit leaves after the position; None without a limit.
        signature: The proof that a scope issued the cursor; None without a scope.
        backward: Whether the cursor leads to the calls before the record with *values*, not to those after it.
    """

    order: tuple[tuple[str, bool], ...]
    values: tuple[Any, ...]
    left: int | None = None
    signature: str | None = None
    backward: bool = False

    def encode(self) -> str:
        """Return the cursor as a short text that is safe in a URL."""
        return self.payload if self.signature is None else f"{self.payload}.{self.signature}"

    @property
    def payload(self) -> str:
        """The text of the cursor without its signature: the text that a scope signs."""
        plain = [json_value(value) for value in self.values]
        whole: list[object] = [_CURSOR_VERSION, self.order, plain, self.left]
        if self.backward:
            whole.append("backward")
        packed = json.dumps(whole, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(packed.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: object) -> Cursor:
        """Return the cursor that `encode` turned into *text*.

        Raises:
            QueryError: When *text* is not the text of a cursor.
        """
        try:
            if not isinstance(text, str):
                raise TypeError("a cursor is a text")
            payload, dot, signature = text.partition(".")
            packed = base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True)
            version, order, values, left, *direction = json.loads(packed.decode())
            if version != _CURSOR_VERSION or len(order) != len(values) or len(order) < 2:
                raise ValueError("made by another version")
            if left is not None and (type(left) is not int or left < 0):
                raise ValueError("its limit is not a count")
            if direction not in ([], ["backward"]):
                raise ValueError("its direction is unknown")
            names = tuple((find_field(name).name, bool(descending)) for name, descending in order)
            plain = tuple(_read_value(name, v) for (name, _), v in zip(names, values, strict=True))
            return cls(names, plain, left, signature if dot else None, bool(direction))
        except (ValueError, TypeError, CdrError, ArithmeticError, RecursionError) as exc:
            shown = text if not isinstance(text, str) or len(text) <= 60 else f"{text[:60]}…"
            raise QueryError(
                f"{shown!r} is not a cursor; pass the next_cursor or previous_cursor of a page unchanged, or no cursor "
                "for the first page.",
                parameter="cursor",
            ) from exc


def _read_value(name: str, value: Any) -> Any:
    info = find_field(name)
    if value is None:
        if info.required:
            raise ValueError(f"{name} is never absent")
        return None
    if info.type == INSTANT:
        return parse_instant(value)
    converted = convert_value(info, value)
    if converted is None:
        raise ValueError(f"{name} cannot be {value!r}")
    return str(converted) if info.choices else converted
