"""Number searches: make a pattern from the number that a user entered."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs
import polars as pl

from cdrkit._numbers.dial_plan import dial_plan
from cdrkit._numbers.normalization import fold_text, normalize_number, normalize_typed, parse_digits
from cdrkit.errors import QueryError

__all__ = ["MatchKind", "NumberPattern", "search_pattern"]

#: The kind of match of a number search.
MatchKind: TypeAlias = Literal["exact", "prefix", "suffix", "contains"]


@attrs.frozen
class NumberPattern:
    """A pattern that matches normalised numbers.

    Attributes:
        kind: How to compare a number.
        numbers: The numbers, or parts of numbers, to compare with; one match is enough.
    """

    kind: MatchKind
    numbers: tuple[str, ...]

    def matches(self, number: str) -> bool:
        """Return whether *number*, a normalised number, matches this pattern."""
        if self.kind == "exact":
            return number in self.numbers
        if self.kind == "prefix":
            return number.startswith(self.numbers)
        if self.kind == "suffix":
            return number.endswith(self.numbers)
        return any(part in number for part in self.numbers)

    def condition(self, column: pl.Expr) -> pl.Expr:
        """Return a condition: the telephone number in a column matches this pattern.

        The column has normalised numbers. The condition is false for a null.
        """
        text = column.str
        if self.kind == "exact":
            matches = [column == number for number in self.numbers]
        elif self.kind == "prefix":
            matches = [text.starts_with(number) for number in self.numbers]
        elif self.kind == "suffix":
            matches = [text.ends_with(number) for number in self.numbers]
        else:
            matches = [text.contains(number, literal=True) for number in self.numbers]
        return pl.any_horizontal(matches).fill_null(False)


def search_pattern(text: str, region: str | None, match: str | None = None) -> NumberPattern:
    """Convert a search text to a pattern that matches normalised numbers.

    >>> search_pattern("020 7946*", "GB")
    NumberPattern(kind='prefix', numbers=('+44207946',))

    Args:
        text: The number as a user entered it. Without *match*, a ``*`` at the end searches for a prefix, a ``*`` at the
            start for a suffix, and a ``*`` at both ends for any part of a number.
        region: The region to which numbers in national form belong, or None.
        match: ``exact``, ``prefix``, ``suffix`` or ``contains``. A ``*`` in *text* is then an ordinary character.

    Raises:
        QueryError: When *text* contains nothing to search for, or *match* is unknown.
    """
    kinds: dict[str, MatchKind] = {kind: kind for kind in ("exact", "prefix", "suffix", "contains")}
    if match is not None and match not in kinds:
        raise QueryError(
            f"Unknown kind of match {match!r} for a number; use exact, prefix, suffix or contains.",
            parameter="number",
        )
    if not isinstance(text, str):
        raise QueryError(
            f"A number to search for must be text, not {text!r}; write it in quotes.", parameter="number"
        )
    wanted = text.strip()
    kind: MatchKind = "exact"
    if match is not None:
        kind = kinds[match]
    else:
        if wanted.endswith("*"):
            kind = "contains" if wanted.startswith("*") else "prefix"
        elif wanted.startswith("*"):
            kind = "suffix"
        wanted = wanted.strip("*")
    if not wanted.strip() or not _is_encodable(wanted):
        raise QueryError(
            f"{text!r} contains nothing to search for. Give digits, or a name such as 'alice'. "
            "To search for part of a number, put a * before or after that part.",
            parameter="number",
        )
    if kind == "exact":
        # A switch may have stored the typed text letter by letter: then the text is its own normalised number.
        both = (normalize_typed(wanted, region), normalize_number(wanted, region))
        return NumberPattern(kind, tuple(dict.fromkeys(both)))
    if kind == "prefix":
        return NumberPattern(kind, _prefixes(wanted, region))
    digits = parse_digits(wanted)
    part = fold_text(wanted) if digits is None else digits
    return NumberPattern(kind, (part.removeprefix("+") if kind == "suffix" and len(part) > 1 else part,))


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _prefixes(text: str, region: str | None) -> tuple[str, ...]:
    """Return all normalised forms of a prefix that a user typed."""
    digits = parse_digits(text)
    if digits is None:
        return (fold_text(text),)
    if digits[0] == "+":
        return (digits,)
    if region is None:
        if digits.startswith("00") and len(digits) > 2:
            return ("+" + digits[2:], digits)
        return ("+" + digits, digits)
    plan = dial_plan(region)
    abroad = digits.removeprefix(plan.usual_exit_code)
    if abroad not in ("", digits):
        return ("+" + abroad,)
    if plan.trunk and digits.startswith(plan.trunk):
        return (f"+{plan.code}{digits.removeprefix(plan.trunk)}",)
    return ("+" + digits, f"+{plan.code}{digits}", digits)
