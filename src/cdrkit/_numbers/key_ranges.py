"""Number keys: normalised numbers as sortable integers, and searches by key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

import attrs
import polars as pl

from cdrkit._numbers.search import NumberPattern

__all__ = ["KeySearch", "key_search", "number_key", "number_keys", "prefix_range"]

_KEY_DIGITS: Final = 15
_KEYED: Final = re.compile(f"\\+[0-9]{{1,{_KEY_DIGITS}}}")
_PREFIX: Final = re.compile(r"\+[0-9]+", re.ASCII)
_HASHED: Final = (-(2**63), 0)


def number_key(number: str) -> int:
    """Return the number key of a normalised number.

    The key is a signed integer of 64 bits. Files contain keys, so the key of a number never changes.

    If the number is a plus and at most fifteen digits, the key holds the digits, padded on the right to fifteen
    places. The last four bits hold the count of digits. Such keys have the same order as the digits, compared as text.
    Only equal numbers have equal keys. All numbers with the same prefix have keys in one range.

    The key of any other text is a hash below zero. Different texts may have the same hash, so recheck the rows.
    """
    if _KEYED.fullmatch(number):
        return int(number[1:].ljust(_KEY_DIGITS, "0")) * 16 + len(number) - 1
    digest = hashlib.blake2b(number.encode(), digest_size=8).digest()
    return -(int.from_bytes(digest, "big") >> 1) - 1


def number_keys(numbers: pl.Series) -> pl.Series:
    """Return the number key of each normalised number in a column.

    The keys have the type Int64. A null stays null.
    """
    number = pl.col("number")
    rows = numbers.cast(pl.String).alias("number").to_frame()
    digits = number.str.slice(1)
    packed = digits.str.pad_end(_KEY_DIGITS, "0").cast(pl.Int64, strict=False) * 16 + digits.str.len_bytes()
    keyed = number.str.contains(f"^{_KEYED.pattern}$")
    rows = rows.select(pl.when(keyed).then(packed).alias("key"), number)
    others = rows.filter(pl.col("key").is_null() & number.is_not_null())["number"].unique()
    if others.is_empty():
        return rows["key"].alias(numbers.name)
    hashes = pl.DataFrame(
        {"number": others, "hash": pl.Series([number_key(text) for text in others], dtype=pl.Int64)}
    )
    rows = rows.join(hashes, on="number", how="left", maintain_order="left")
    return rows.select(pl.coalesce("key", "hash").alias(numbers.name)).to_series()


def prefix_range(digits: str) -> tuple[int, int]:
    """Return the key range of the numbers that begin with a plus sign and *digits*.

    Numbers of more than fifteen digits have hashed keys, which are outside the range.

    Args:
        digits: Up to fifteen digits, without the plus; an empty string for all numbers.

    Returns:
        The lowest key, inclusive, and the end of the range, exclusive.
    """
    if len(digits) > _KEY_DIGITS:
        return 0, 0
    factor = 10 ** (_KEY_DIGITS - len(digits))
    first = int(digits or "0")
    return first * factor * 16 + len(digits), (first + 1) * factor * 16


@attrs.frozen
class KeySearch:
    """The ranges of number keys that may match a search.

    Example:
        A search for ``+44 20 7946 0018``, whose twelve digits are padded to fifteen:

        >>> from cdrkit.storage import KeySearch
        >>> key = 442079460018000 * 16 + 12
        >>> KeySearch(ranges=((key, key + 1),), exact=True, longer=False).exact
        True

    Attributes:
        ranges: Key ranges, ascending and disjoint; the end of each range is exclusive.
        exact: Whether every number in the ranges matches. If not, recheck the rows.
        longer: Whether numbers of more than fifteen digits, which have hashed keys, may match too.
    """

    ranges: tuple[tuple[int, int], ...]
    exact: bool
    longer: bool

    def with_longer(self) -> KeySearch:
        """Return a search that also covers numbers of more than fifteen digits.

        If no such number can match, the search is returned unchanged.

        Example:
            >>> from cdrkit.storage import KeySearch
            >>> KeySearch(ranges=((16, 32),), exact=True, longer=True).with_longer().exact
            False
        """
        if not self.longer:
            return self
        return KeySearch(_merge_ranges([*self.ranges, _HASHED]), exact=False, longer=True)


def key_search(patterns: Iterable[NumberPattern]) -> KeySearch | None:
    """Return the ranges of number keys that may match one of *patterns*.

    Return None if matching numbers may have any key.

    >>> from cdrkit._numbers.search import search_pattern
    >>> key_search([search_pattern("020 7946 0018", "GB")])
    KeySearch(ranges=((7073271360288012, 7073271360288013),), exact=True, longer=False)
    """
    ranges: list[tuple[int, int]] = []
    exact, longer = True, False
    for pattern in patterns:
        if pattern.kind not in ("exact", "prefix"):
            return None
        for wanted in pattern.numbers:
            if pattern.kind == "exact":
                key = number_key(wanted)
                ranges.append((key, key + 1))
                exact = exact and key >= 0
            elif _PREFIX.fullmatch(wanted):
                ranges.append(prefix_range(wanted[1:]))
                longer = True
            else:  # a name or a short number; a plus alone also begins every international number
                ranges += [_HASHED, prefix_range("")] if wanted == "+" else [_HASHED]
                exact = False
    return KeySearch(_merge_ranges(ranges), exact, longer)


def _merge_ranges(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    disjoint: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if disjoint and low <= disjoint[-1][1]:
            disjoint[-1] = (disjoint[-1][0], max(disjoint[-1][1], high))
        elif low < high:
            disjoint.append((low, high))
    return tuple(disjoint)
