"""Number searches: what the forms of the numbers searched for are like, and keys that sort as numbers do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final, Literal

import attrs
import polars as pl

from cdrkit._numbers.normalization import (
    dial_plan,
    dialled_digits,
    fold_text,
    normalize_number,
    normalize_typed,
)
from cdrkit.errors import QueryError

__all__ = [
    "KeySearch",
    "MatchKind",
    "NumberPattern",
    "key_search",
    "number_key",
    "number_keys",
    "prefix_range",
    "search_pattern",
]

MatchKind = Literal["exact", "prefix", "suffix", "contains"]

_KEY_DIGITS: Final = 15
_KEYED: Final = re.compile(f"\\+[0-9]{{1,{_KEY_DIGITS}}}")
_PREFIX: Final = re.compile(r"\+[0-9]+", re.ASCII)
_HASHED: Final = (-(2**63), 0)


@attrs.frozen
class NumberPattern:
    """What the form of a number must be like.

    Attributes:
        kind: How it is compared.
        forms: What it is compared with; one that fits is enough.
    """

    kind: MatchKind
    forms: tuple[str, ...]

    def matches(self, form: str) -> bool:
        """Return whether a form fits."""
        if self.kind == "exact":
            return form in self.forms
        if self.kind == "prefix":
            return form.startswith(self.forms)
        if self.kind == "suffix":
            return form.endswith(self.forms)
        return any(part in form for part in self.forms)

    def mask(self, column_of_forms: pl.Expr) -> pl.Expr:
        """Return the same for a column of forms; a null does not fit."""
        text = column_of_forms.str
        if self.kind == "exact":
            found = [column_of_forms == form for form in self.forms]
        elif self.kind == "prefix":
            found = [text.starts_with(form) for form in self.forms]
        elif self.kind == "suffix":
            found = [text.ends_with(form) for form in self.forms]
        else:
            found = [text.contains(form, literal=True) for form in self.forms]
        return pl.any_horizontal(found).fill_null(False)


@attrs.frozen
class KeySearch:
    """Where among sorted keys the numbers searched for are.

    Attributes:
        ranges: Ranges of keys, the end exclusive, ascending and apart.
        exact: Whether every number with such a key fits; otherwise it may, and the row must be looked at.
        longer: Whether numbers of more than fifteen digits may fit, too: they have hashed keys.
    """

    ranges: tuple[tuple[int, int], ...]
    exact: bool
    longer: bool

    def with_longer(self) -> KeySearch:
        """Return the search for where there are numbers of more than fifteen digits."""
        return KeySearch(_joined([*self.ranges, _HASHED]), exact=False, longer=True) if self.longer else self


def key_search(patterns: Iterable[NumberPattern]) -> KeySearch | None:
    """Return where numbers that fit one of *patterns* are among sorted keys; None when they may be anywhere.

    >>> key_search([search_pattern("020 7946 0018", "GB")])
    KeySearch(ranges=((7073271360288012, 7073271360288013),), exact=True, longer=False)
    """
    ranges: list[tuple[int, int]] = []
    exact, longer = True, False
    for pattern in patterns:
        if pattern.kind not in ("exact", "prefix"):
            return None
        for wanted in pattern.forms:
            if pattern.kind == "exact":
                key = number_key(wanted)
                ranges.append((key, key + 1))
                exact = exact and key >= 0
            elif _PREFIX.fullmatch(wanted):
                ranges.append(prefix_range(wanted[1:]))
                longer = True
            else:  # a name or a short number; a lone plus begins every number, too
                ranges += [_HASHED, prefix_range("")] if wanted == "+" else [_HASHED]
                exact = False
    return KeySearch(_joined(ranges), exact, longer)


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        elif low < high:
            found.append((low, high))
    return tuple(found)


def search_pattern(text: str, region: str | None, match: str | None = None) -> NumberPattern:
    """Return what the forms of the numbers searched for are like.

    >>> search_pattern("020 7946*", "GB")
    NumberPattern(kind='prefix', forms=('+44207946',))

    Args:
        text: The number as typed. Without *match*, a ``*`` at its end, start or both searches for a prefix, a
            suffix or a part.
        region: The region whose national forms are meant; None: none.
        match: ``exact``, ``prefix``, ``suffix`` or ``contains``; ``*`` is then a character like any other.

    Raises:
        QueryError: When there is nothing to search for, or no such kind of match.
    """
    kinds: dict[str, MatchKind] = {kind: kind for kind in ("exact", "prefix", "suffix", "contains")}
    if match is not None and match not in kinds:
        raise QueryError(
            f"There is no kind of match {match!r} for a number; use exact, prefix, suffix or contains.",
            parameter="number",
        )
    if not isinstance(text, str):
        raise QueryError(f"A number to search for is text, not {text!r}.", parameter="number")
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
    if not wanted.strip() or not _encodable(wanted):
        raise QueryError(
            f"The number {text!r} has nothing to search for; give digits or a name, * at an end for a part.",
            parameter="number",
        )
    if kind == "exact":
        # A switch may have stored what was typed letter by letter, and that is its own form.
        return NumberPattern(kind, tuple(dict.fromkeys((normalize_typed(wanted, region), normalize_number(wanted, region)))))
    if kind == "prefix":
        return NumberPattern(kind, _prefix_forms(wanted, region))
    digits = dialled_digits(wanted)
    part = fold_text(wanted) if digits is None else digits
    return NumberPattern(kind, (part.removeprefix("+") if kind == "suffix" and len(part) > 1 else part,))


def _encodable(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _prefix_forms(text: str, region: str | None) -> tuple[str, ...]:
    digits = dialled_digits(text)
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


def number_key(form: str) -> int:
    """Return the sortable key of a form, a signed 64-bit number that never changes.

    For a plus and at most fifteen digits: the digits on the left of fifteen places, and in the last four bits
    how many they are. Such keys sort as the digits do, are equal only for equal numbers, and a prefix is one
    range of them. Any other form has a hash below zero, which two forms may share: look at the row.
    """
    if _KEYED.fullmatch(form):
        return int(form[1:].ljust(_KEY_DIGITS, "0")) * 16 + len(form) - 1
    digest = hashlib.blake2b(form.encode(), digest_size=8).digest()
    return -(int.from_bytes(digest, "big") >> 1) - 1


def number_keys(forms: pl.Series) -> pl.Series:
    """Return the key of every form, as Int64; a null for a null."""
    form = pl.col("form")
    rows = forms.cast(pl.String).alias("form").to_frame()
    digits = form.str.slice(1)
    number = digits.str.pad_end(_KEY_DIGITS, "0").cast(pl.Int64, strict=False) * 16 + digits.str.len_bytes()
    keyed = form.str.contains(f"^{_KEYED.pattern}$")
    found = rows.select(pl.when(keyed).then(number).alias("key"), form)
    others = found.filter(pl.col("key").is_null() & form.is_not_null())["form"].unique()
    if others.is_empty():
        return found["key"].alias(forms.name)
    hashed = pl.DataFrame(
        {"form": others, "hash": pl.Series([number_key(text) for text in others], dtype=pl.Int64)}
    )
    found = found.join(hashed, on="form", how="left", maintain_order="left")
    return found.select(pl.coalesce("key", "hash").alias(forms.name)).to_series()


def prefix_range(digits: str) -> tuple[int, int]:
    """Return the keys of all numbers that begin with a plus and *digits*: the lowest, and one past the last.

    Numbers of more than fifteen digits have no sortable key and are not in it.

    Args:
        digits: Up to fifteen digits, without the plus; none for all numbers.
    """
    if len(digits) > _KEY_DIGITS:
        return 0, 0
    place = 10 ** (_KEY_DIGITS - len(digits))
    first = int(digits or "0")
    return first * place * 16 + len(digits), (first + 1) * place * 16
